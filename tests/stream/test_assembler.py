"""The grammar of the stream, rule by rule and for any sequence of deltas. Rule ids are those of docs/conformance.md."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.deltas import (
    Annotation,
    Audio,
    Delta,
    Finish,
    Open,
    Reasoning,
    Refusal,
    Signature,
    Text,
    ToolArgs,
    ToolOpen,
    Usage,
)
from riverrun.wire.chunk import DONE, Identity
from riverrun.wire.fold import fold

WHO = Identity("chatcmpl-1", 7, "tiny", "fp_1")
Json = dict[str, "object"]


def lit(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()


def text(words: str, choice: int = 0) -> Text:
    return Text(choice, lit(words))


def assembled(deltas: list[Delta], plan: Plan | None = None, *, end: bool = True) -> list[bytes]:
    assembler = Assembler(WHO, plan or Plan())
    payloads = assembler.push(deltas)
    return payloads + assembler.finish() if end else payloads


def chunks(payloads: list[bytes]) -> list[dict]:  # type: ignore[type-arg]  # JSON that the tests look into
    return [json.loads(payload) for payload in payloads if payload != DONE]


def deltas_of(payloads: list[bytes]) -> list[tuple[int, object, object]]:
    return [
        (choice["index"], choice["delta"], choice["finish_reason"])
        for chunk in chunks(payloads)
        for choice in chunk["choices"]
    ]


def test_a_plain_answer() -> None:
    payloads = assembled([Open(0), text("Hello"), text("!"), Finish(0, "stop")])
    assert deltas_of(payloads) == [
        (0, {"role": "assistant", "content": "", "refusal": None}, None),
        (0, {"content": "Hello"}, None),
        (0, {"content": "!"}, None),
        (0, {}, "stop"),
    ]
    assert payloads[-1] == DONE


@pytest.mark.parametrize(
    ("delta", "opening"),
    [
        (text("a"), {"content": "", "refusal": None}),
        (Reasoning(0, lit("a")), {"content": "", "refusal": None}),
        (ToolOpen(0, 0, "c", "f"), {"content": None, "refusal": None}),
        (Refusal(0, lit("no")), {"content": None, "refusal": ""}),
        (Audio(0, b'{"id":"a"}'), {"content": None, "refusal": None}),
        (Finish(0, "stop"), {"content": "", "refusal": None}),
    ],
)
def test_o4_the_opener_says_what_kind_comes(delta: Delta, opening: Json) -> None:
    assert deltas_of(assembled([delta], end=False))[0] == (0, {"role": "assistant", **opening}, None)


@pytest.mark.parametrize("quiet", [Open(0, "m"), text(""), Usage(1, 2)], ids=str)
def test_nothing_visible_commits_nothing(quiet: Delta) -> None:
    assembler = Assembler(WHO, Plan())
    assert assembler.push([quiet]) == []
    assert not assembler.committed


def test_n2_openers_go_out_together_and_in_order() -> None:
    payloads = assembled([text("b", 1), text("a", 0)], Plan(n=3), end=False)
    assert [(index, "role" in delta) for index, delta, _ in deltas_of(payloads)] == [  # type: ignore[operator]
        (0, True),
        (1, True),
        (2, True),
        (1, False),
        (0, False),
    ]


def test_identity_is_the_upstreams_until_the_commit_and_then_frozen() -> None:
    assembler = Assembler(WHO, Plan())
    payloads = assembler.push([Open(0, "real-2025", "fp_9", "flex"), text("a"), Open(0, "other", "fp_0", "auto")])
    payloads += assembler.push([text("b")])
    for chunk in chunks(payloads):
        assert (chunk["id"], chunk["created"]) == ("chatcmpl-1", 7)
        assert (chunk["model"], chunk["system_fingerprint"], chunk["service_tier"]) == ("real-2025", "fp_9", "flex")


def test_u2_usage_is_the_last_chunk_and_null_in_the_others() -> None:
    payloads = assembled([Usage(1, 1), text("a"), Usage(3, 4), Finish(0, "stop")], Plan(include_usage=True))
    every = chunks(payloads)
    assert [chunk["usage"] for chunk in every[:-1]] == [None] * (len(every) - 1)
    assert every[-1]["choices"] == []
    assert every[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_u1_without_include_usage_there_is_no_such_key() -> None:
    assert all("usage" not in chunk for chunk in chunks(assembled([text("a"), Finish(0, "stop"), Usage(1, 2)])))


def test_usage_of_branches_is_added_up_and_estimated_where_there_is_none() -> None:
    assembler = Assembler(WHO, Plan(n=2, messages=[{"role": "user", "content": "x" * 100}]))
    assembler.push([text("a", 0), text("b", 0), Finish(0, "stop")], source=(0, 0))
    assert assembler.usage.completion_tokens == 3
    assert assembler.usage.prompt_tokens > 25
    assembler.push([Usage(5, 2)], source=(0, 0))
    assembler.push([Usage(5, 9)], source=(1, 0))
    assert (assembler.usage.prompt_tokens, assembler.usage.completion_tokens) == (5, 11)


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call"])
def test_t10_a_choice_with_calls_ends_in_tool_calls(reason: str) -> None:
    finish = Finish(0, reason)  # type: ignore[arg-type]  # parametrised with three of the literals
    payloads = assembled([ToolOpen(0, 3, "call_a", "f"), ToolArgs(0, 3, lit("{}")), finish])
    assert deltas_of(payloads)[1:] == [
        (
            0,
            {
                "tool_calls": [
                    {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}
                ]
            },
            None,
        ),
        (0, {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, None),
        (0, {}, "tool_calls"),
    ]


def test_a_cut_call_ends_in_length() -> None:
    payloads = assembled([ToolOpen(0, 0, "c", "f"), ToolArgs(0, 0, lit('{"a')), Finish(0, "length")])
    assert deltas_of(payloads)[-1] == (0, {}, "length")
    calls = fold(payloads).choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.arguments == '{"a'


def test_t13_deprecated_functions_get_their_own_form() -> None:
    deltas: list[Delta] = [ToolOpen(0, 0, "c", "f"), ToolArgs(0, 0, lit("{}")), Finish(0, "tool_calls")]
    payloads = assembled(deltas, Plan(functions=True))
    assert deltas_of(payloads)[1:] == [
        (0, {"function_call": {"name": "f", "arguments": ""}}, None),
        (0, {"function_call": {"arguments": "{}"}}, None),
        (0, {}, "function_call"),
    ]


def test_l1_logprobs_stand_with_their_text() -> None:
    token = b'[{"token":"a","logprob":-1.5,"bytes":[97],"top_logprobs":[]}]'
    every = chunks(
        assembled([Text(0, b'"a"', token), Refusal(0, b'"n"', token), Finish(0, "stop")], Plan(logprobs=True))
    )
    assert [chunk["choices"][0]["logprobs"] for chunk in every] == [
        {"content": [], "refusal": None},
        {"content": json.loads(token), "refusal": None},
        {"content": None, "refusal": json.loads(token)},
        None,
    ]


def test_o12_annotations_are_numbered() -> None:
    payloads = assembled([Annotation(0, b'{"type":"a"}'), Annotation(0, b'{"type":"b"}')], end=False)
    assert [delta["annotations"] for _, delta, _ in deltas_of(payloads)[1:]] == [  # type: ignore[index]
        [{"index": 0, "type": "a"}],
        [{"index": 1, "type": "b"}],
    ]


@pytest.mark.parametrize("fields", [("reasoning_content",), ("reasoning",), ("reasoning_content", "reasoning")])
def test_thoughts_are_told_in_the_field_that_is_wanted(fields: tuple[str, ...]) -> None:
    plan = Plan(thoughts=tuple(name.encode() for name in fields))
    payloads = assembled([Reasoning(0, b'"hm"'), text("a"), Finish(0, "stop")], plan)
    assert deltas_of(payloads)[1][1] == dict.fromkeys(fields, "hm")
    message = fold(payloads).choices[0].message
    assert (message.reasoning_content, message.reasoning) == tuple(
        "hm" if name in fields else None for name in ("reasoning_content", "reasoning")
    )


def test_o12_signatures_are_numbered() -> None:
    payloads = assembled([Signature(0, b'{"signature":"a"}'), Signature(0, b'{"signature":"b"}')], end=False)
    assert [delta["reasoning_details"] for _, delta, _ in deltas_of(payloads)[1:]] == [  # type: ignore[index]
        [{"index": 0, "signature": "a"}],
        [{"index": 1, "signature": "b"}],
    ]


@pytest.mark.parametrize(
    ("deltas", "match"),
    [
        ([text("a", 1)], "choice 1, and 1 were asked for"),
        ([Finish(0, "stop"), text("b")], "after its finish_reason"),
        ([ToolArgs(0, 0, lit("{}"))], "had not opened"),
    ],
)
def test_what_breaks_the_grammar_blames_the_upstream(deltas: list[Delta], match: str) -> None:
    with pytest.raises(Failure, match=match) as caught:
        assembled(deltas)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


def test_o10_a_choice_without_an_ending_is_a_cut() -> None:
    assembler = Assembler(WHO, Plan(n=2))
    assembler.push([text("a"), Finish(0, "stop")])
    assert not assembler.complete
    with pytest.raises(Failure, match="choice 1") as caught:
        assembler.finish()
    assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


def test_obfuscation_only_where_it_was_asked_for() -> None:
    pad: Callable[[int], str] = lambda size: "x"  # noqa: E731  (its type is the point)
    assert all(chunk["obfuscation"] for chunk in chunks(assembled([text("a"), Finish(0, "stop")], Plan(pad=pad))))
    assert all("obfuscation" not in chunk for chunk in chunks(assembled([text("a"), Finish(0, "stop")])))


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def choice_deltas(draw: st.DrawFn, choice: int) -> list[Delta]:
    """Anything that a well-behaved upstream may say of one choice, up to its end."""
    deltas: list[Delta] = [Open(choice)] * draw(st.integers(0, 1))
    says = st.sampled_from([Text, Reasoning, Refusal])
    deltas += [draw(says)(choice, lit(word)) for word in draw(st.lists(words, max_size=5))]
    for call in range(draw(st.integers(0, 2))):
        arguments = json.dumps(draw(st.dictionaries(words, words, max_size=2)))
        cut = draw(st.integers(0, len(arguments)))
        deltas += [ToolOpen(choice, call, f"c{choice}{call}", "f")]
        deltas += [ToolArgs(choice, call, lit(piece)) for piece in (arguments[:cut], arguments[cut:])]
    return [*deltas, Finish(choice, draw(st.sampled_from(["stop", "length", "content_filter"])))]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[int, list[list[Delta]]]:
    """n choices' deltas, mixed and cut into reads as they may come."""
    n = draw(st.integers(1, 4))
    rows = [draw(choice_deltas(choice)) for choice in range(n)]
    order = draw(st.permutations([choice for choice, row in enumerate(rows) for _ in row]))
    mixed: list[Delta] = [rows[choice].pop(0) for choice in order]
    mixed += [Usage(3, 5)] * draw(st.integers(0, 1))
    cuts = sorted(draw(st.lists(st.integers(0, len(mixed)), max_size=4)))
    return n, [mixed[start:end] for start, end in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]


@settings(max_examples=200)
@given(conversations(), st.booleans())
def test_any_conversation_keeps_every_rule(conversation: tuple[int, list[list[Delta]]], include_usage: bool) -> None:
    n, reads = conversation
    assembler = Assembler(WHO, Plan(n=n, include_usage=include_usage))
    payloads = [payload for read in reads for payload in assembler.push(read)]
    assert assembler.complete
    payloads += assembler.finish()
    assert payloads.index(DONE) == len(payloads) - 1
    every = chunks(payloads)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["system_fingerprint"]) for chunk in every}) == 1
    assert [chunk["choices"][0]["index"] for chunk in every[:n]] == list(range(n))
    seen: dict[int, str] = {}
    for chunk in every[: len(every) - include_usage]:
        (choice,) = chunk["choices"]
        index, delta = choice["index"], choice["delta"]
        assert seen.get(index) != "finished"
        assert ("role" in delta) == (index not in seen)
        assert len(delta.get("tool_calls", [0])) == 1
        seen[index] = "finished" if choice["finish_reason"] else "open"
        assert (delta == {}) == (choice["finish_reason"] is not None)
    assert seen == dict.fromkeys(range(n), "finished")
    _same_words([delta for read in reads for delta in read], payloads)


def _same_words(deltas: list[Delta], payloads: list[bytes]) -> None:
    """Nothing said is lost or doubled: the fold has each choice's words."""
    for choice in fold(payloads).choices:
        mine = [delta for delta in deltas if getattr(delta, "choice", None) == choice.index]
        for kind, folded in (
            (Text, choice.message.content),
            (Reasoning, choice.message.reasoning_content),
            (Refusal, choice.message.refusal),
        ):
            said = "".join(json.loads(delta.literal) for delta in mine if type(delta) is kind)
            assert (folded or "") == said
        for number, call in enumerate(choice.message.tool_calls or ()):
            pieces = [json.loads(each.literal) for each in mine if isinstance(each, ToolArgs) and each.call == number]
            assert call.function.arguments == "".join(pieces)


@given(conversations(), st.data())
def test_a_stream_cut_anywhere_never_finishes(conversation: tuple[int, list[list[Delta]]], data: st.DataObject) -> None:
    n, reads = conversation
    deltas = [delta for read in reads for delta in read]
    last = max(place for place, delta in enumerate(deltas) if isinstance(delta, Finish))
    assembler = Assembler(WHO, Plan(n=n))
    assembler.push(deltas[: data.draw(st.integers(0, last))])
    with pytest.raises(Failure):
        assembler.finish()
