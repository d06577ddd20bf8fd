"""A chunk as it is written, to the letter, against the structs and the seed's example."""

import json

import msgspec

from riverrun.wire.chunk import Chunk, CompletionUsage, Identity, Writer, decode, literal

WHO = Identity("chatcmpl-1", 1694268190, "tiny", "fp_44709d6fcb")
USAGE = CompletionUsage(3, 4, 7)


def test_a_text_chunk_to_the_letter() -> None:
    assert Writer(WHO).text(0, literal("Hello")) == (
        b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1694268190,"model":"tiny",'
        b'"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hello"},'
        b'"logprobs":null,"finish_reason":null}]}'
    )


def test_text_and_delta_say_the_same() -> None:
    writer = Writer(WHO, usage_null=True)
    assert writer.text(2, b'"x"') == writer.delta(2, b'"content":"x"')


def test_usage_null_is_in_every_chunk_but_one() -> None:
    writer = Writer(WHO, usage_null=True)
    assert json.loads(writer.text(0, b'"x"'))["usage"] is None
    assert json.loads(writer.usage(USAGE))["usage"]["total_tokens"] == 7
    assert json.loads(writer.usage(USAGE))["choices"] == []
    assert "usage" not in json.loads(Writer(WHO).text(0, b'"x"'))


def test_the_tier_is_there_only_where_the_upstream_named_one() -> None:
    assert "service_tier" not in json.loads(Writer(WHO).text(0, b'"x"'))
    tiered = msgspec.structs.replace(WHO, service_tier="flex")
    assert json.loads(Writer(tiered).text(0, b'"x"'))["service_tier"] == "flex"


def test_padding_hides_the_length() -> None:
    writer = Writer(WHO, pad=lambda size: "x" * (64 - size % 64))
    sizes = {len(writer.text(0, literal("a" * count))) % 64 for count in range(80)}
    assert len(sizes) == 1
    assert json.loads(writer.usage(USAGE))["obfuscation"]


def test_every_chunk_is_one_of_the_structs() -> None:
    writer = Writer(WHO, usage_null=True, pad=lambda size: "pad")
    for payload in (
        writer.text(0, literal("é😀\n")),
        writer.delta(0, b'"role":"assistant","content":"","refusal":null', b'{"content":[],"refusal":null}'),
        writer.delta(1, b"", finish_reason=b'"stop"'),
        writer.usage(USAGE),
    ):
        assert isinstance(decode(payload), Chunk)


def test_the_seeds_own_example() -> None:
    """The keys, order of events and meaning of the project's seed: role, text, finish; one id and one created."""
    writer = Writer(WHO)
    first = json.loads(writer.delta(0, b'"role":"assistant","content":"","refusal":null'))
    text = json.loads(writer.text(0, b'"Hello"'))
    last = json.loads(writer.delta(0, b"", finish_reason=b'"stop"'))
    for chunk in (first, text, last):
        assert {"id", "choices", "created", "model", "system_fingerprint", "object"} == set(chunk)
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["created"], int)
        choice = chunk["choices"][0]
        assert set(choice) == {"index", "delta", "finish_reason", "logprobs"}  # logprobs: today's API
    assert first["choices"][0]["delta"] | {"refusal": None} == {"role": "assistant", "content": "", "refusal": None}
    assert text["choices"][0]["delta"] == {"content": "Hello"}
    assert last["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None}
