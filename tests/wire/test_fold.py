"""Chunks to a completion."""

import json

import msgspec
import pytest

from riverrun.wire.chunk import DONE, CompletionUsage, Identity, Writer, literal
from riverrun.wire.completion import Completion
from riverrun.wire.fold import BATCH, fold

WRITER = Writer(Identity("chatcmpl-1", 7, "tiny", "fp_1"))
OPEN = WRITER.delta(0, b'"role":"assistant","content":"","refusal":null')
STOP = WRITER.delta(0, b"", finish_reason=b'"stop"')
CALL = (
    b'"tool_calls":[{"index":%d,"id":"call_%d","type":"function","function":{"name":"f%d","arguments":""}}]',
    b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]',
)


def whole(*payloads: bytes, usage: CompletionUsage | None = None) -> dict[str, object]:
    completion = fold(payloads, usage)
    assert isinstance(completion, Completion)
    value: dict[str, object] = json.loads(msgspec.json.encode(completion))
    return value


def test_text() -> None:
    texts = [WRITER.text(0, literal(text)) for text in ("Hel", "lo ", "😀")]
    assert whole(OPEN, *texts, STOP, DONE) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "tiny",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello 😀", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": None,
        "system_fingerprint": "fp_1",
    }


def test_an_empty_answer_is_an_empty_string() -> None:
    choices = whole(OPEN, STOP)["choices"]
    assert isinstance(choices, list)
    assert choices[0]["message"]["content"] == ""


def message(*payloads: bytes) -> dict[str, object]:
    choices = whole(OPEN, *payloads, STOP)["choices"]
    assert isinstance(choices, list)
    found: dict[str, object] = choices[0]["message"]
    return found


def test_tool_calls_are_gathered_by_index_and_content_is_null() -> None:
    calls = []
    for index in (0, 1):
        calls.append(WRITER.delta(0, CALL[0] % (index, index, index)))
        calls += [WRITER.delta(0, CALL[1] % (index, piece)) for piece in (b'"{\\"a\\":"', b'"1}"')]
    assert message(*calls)["tool_calls"] == [
        {"id": f"call_{i}", "type": "function", "function": {"name": f"f{i}", "arguments": '{"a":1}'}} for i in (0, 1)
    ]
    assert message(*calls)["content"] is None


def test_function_call() -> None:
    pieces = (b'"function_call":{"name":"f","arguments":""}', b'"function_call":{"arguments":"{}"}')
    said = message(*(WRITER.delta(0, piece) for piece in pieces))
    assert said["function_call"] == {"name": "f", "arguments": "{}"}
    assert said["content"] is None


def test_refusal_reasoning_annotations_and_audio() -> None:
    said = message(
        WRITER.delta(0, b'"reasoning_content":"hm"'),
        WRITER.delta(0, b'"reasoning_content":"m"'),
        WRITER.delta(0, b'"refusal":"I can"'),
        WRITER.delta(0, b'"refusal":"not"'),
        WRITER.delta(0, b'"annotations":[{"index":0,"type":"url_citation"}]'),
        WRITER.delta(0, b'"reasoning_details":[{"index":0,"type":"reasoning.text","signature":"s"}]'),
        WRITER.delta(0, b'"audio":{"id":"a1","transcript":"He"}'),
        WRITER.delta(0, b'"audio":{"transcript":"y","data":"AA"}'),
        WRITER.delta(0, b'"audio":{"data":"BB","expires_at":9}'),
    )
    assert said["reasoning_content"] == "hmm"
    assert said["refusal"] == "I cannot"
    assert said["reasoning_details"] == [{"type": "reasoning.text", "signature": "s"}]
    assert said["annotations"] == [{"type": "url_citation"}]
    assert said["audio"] == {"id": "a1", "transcript": "Hey", "data": "AABB", "expires_at": 9}


def test_logprobs_are_joined() -> None:
    token = b'{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}'
    chunk = WRITER.delta(0, b'"content":"a"', b'{"content":[%b],"refusal":null}' % token)
    choices = whole(OPEN, chunk, chunk, STOP)["choices"]
    assert isinstance(choices, list)
    assert choices[0]["logprobs"] == {"content": [json.loads(token)] * 2, "refusal": None}


def test_more_chunks_than_are_decoded_at_once() -> None:
    texts = [str(number) for number in range(2 * BATCH + 1)]
    assert message(*(WRITER.text(0, literal(text)) for text in texts))["content"] == "".join(texts)


def test_empty_texts_are_no_refusal_and_no_thought() -> None:
    said = message(WRITER.delta(0, b'"refusal":"","reasoning":"","x":1,"content":null'))
    assert said == {"role": "assistant", "content": "", "refusal": None, "annotations": []}


def test_choices_are_kept_apart_and_in_order() -> None:
    chunks = []
    for index in (1, 0):
        chunks += [WRITER.text(index, literal(f"c{index}")), WRITER.delta(index, b"", finish_reason=b'"length"')]
    choices = whole(*chunks)["choices"]
    assert isinstance(choices, list)
    assert [(each["index"], each["message"]["content"], each["finish_reason"]) for each in choices] == [
        (0, "c0", "length"),
        (1, "c1", "length"),
    ]


def test_the_runs_own_usage_unless_the_stream_has_it() -> None:
    ours, theirs = CompletionUsage(1, 1, 2), CompletionUsage(3, 4, 7)
    assert whole(OPEN, STOP, usage=ours)["usage"] == msgspec.to_builtins(ours)
    assert whole(OPEN, STOP, WRITER.usage(theirs), DONE, usage=ours)["usage"] == msgspec.to_builtins(theirs)


@pytest.mark.parametrize("payloads", [[], [DONE], [OPEN]])
def test_what_does_not_add_up_is_our_bug(payloads: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"no chunk|no finish_reason"):
        fold(payloads)


def test_the_tier_is_carried() -> None:
    writer = Writer(Identity("c", 7, "tiny", None, "priority"))
    chunk = writer.delta(0, b"", finish_reason=b'"stop"')
    assert whole(chunk)["service_tier"] == "priority"
    assert whole(chunk)["system_fingerprint"] is None
