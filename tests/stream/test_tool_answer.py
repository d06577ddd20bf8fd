from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, FinishReason, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.stream.tool_answer import ToolAnswer, call_id

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
leaves = st.none() | st.booleans() | st.integers() | texts
values = leaves | st.lists(leaves, max_size=3) | st.dictionaries(texts, leaves, max_size=3)
arguments = st.dictionaries(texts, values, max_size=4)
cuts = st.lists(st.integers(1, 12), min_size=1, max_size=6)


def text(said: str, choice: int = 0) -> Text:
    return Text(choice, json.dumps(said, ensure_ascii=False).encode())


def answer(document: str, sizes: list[int], finish: FinishReason = "stop", *, structured: bool = False) -> list[Delta]:
    translator = ToolAnswer("chatcmpl-1", structured=structured)
    out: list[Delta] = []
    at = turn = 0
    while at < len(document):
        size = sizes[turn % len(sizes)]
        out += translator.translate([text(document[at : at + size])])
        at, turn = at + size, turn + 1
    return out + translator.translate([Finish(0, finish)])


def spoken(deltas: list[Delta]) -> str:
    """The text; each literal must be whole by itself, and UTF-8."""
    said = [json.loads(each.literal) for each in deltas if isinstance(each, Text)]
    for each in said:
        each.encode()
    return "".join(said)


def argued(deltas: list[Delta], call: int) -> str:
    return "".join(json.loads(each.literal) for each in deltas if isinstance(each, ToolArgs) and each.call == call)


@given(texts, st.booleans(), st.sampled_from([None, 1]), cuts)
def test_content_under_any_split_is_the_text(said: str, escaped: bool, indent: int | None, sizes: list[int]) -> None:
    deltas = answer(json.dumps({"content": said}, ensure_ascii=escaped, indent=indent), sizes)
    assert spoken(deltas) == said
    assert deltas[-1] == Finish(0, "stop")


@given(st.lists(arguments, min_size=1, max_size=3), st.booleans(), st.sampled_from([None, 1]), cuts)
def test_calls_under_any_split_are_the_calls(
    calls: list[dict[str, object]], escaped: bool, indent: int | None, sizes: list[int]
) -> None:
    document = {"tool_calls": [{"name": f"f{n}", "arguments": each} for n, each in enumerate(calls)]}
    deltas = answer(json.dumps(document, ensure_ascii=escaped, indent=indent), sizes)
    opened = [each for each in deltas if isinstance(each, ToolOpen)]
    assert [(each.call, each.name) for each in opened] == [(n, f"f{n}") for n in range(len(calls))]
    assert [each.id for each in opened] == [call_id("chatcmpl-1", 0, n) for n in range(len(calls))]
    assert [json.loads(argued(deltas, n)) for n in range(len(calls))] == calls
    assert deltas[-1] == Finish(0, "tool_calls")


@given(arguments | texts, cuts)
def test_structured_content_is_given_as_json(content: object, sizes: list[int]) -> None:
    deltas = answer(json.dumps({"content": content}), sizes, structured=True)
    assert json.loads(spoken(deltas)) == content


def test_it_streams_as_it_comes() -> None:
    translator = ToolAnswer("chatcmpl-1")
    assert translator.translate([text('{"content": "He')]) == [text("He")]
    assert translator.translate([text("llo")]) == [text("llo")]
    assert translator.translate([text("\\"), text("n")]) == [Text(0, b'"\\n"')]
    calls = ToolAnswer("chatcmpl-1")
    opened, args = calls.translate([text('{"tool_calls":[{"name":"f","arguments":{"a":')])
    assert isinstance(opened, ToolOpen)
    assert args == ToolArgs(0, 0, b'"{\\"a\\":"')


def test_choices_are_apart_and_other_deltas_pass() -> None:
    translator = ToolAnswer("chatcmpl-1")
    others: list[Delta] = [Reasoning(0, b'"hm"'), Usage(1, 2)]
    assert translator.translate(others) == others
    assert translator.translate([text('{"content":"a', 0), text('{"content":"b', 1)]) == [text("a", 0), text("b", 1)]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_the_limit_cut_stays_cut(reason: FinishReason) -> None:
    deltas = answer('{"tool_calls":[{"name":"f","arguments":{"a":"x', [5], reason)
    assert argued(deltas, 0) == '{"a":"x'
    assert deltas[-1] == Finish(0, reason)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "Hello",
        '{"content": "a"',
        "{}",
        '{"content": 5}',
        '{"content": ["a"]}',
        '{"other": "a"}',
        '{"tool_calls": [{"arguments": {}, "name": "f"}]}',
        '{"tool_calls": [{"name": 5}]}',
        '{"tool_calls": [{"name": "f", "name": "g"}]}',
        '{"tool_calls": [{"name": "f", "other": 1}]}',
        '{"tool_calls": [5]}',
        '{"tool_calls": 5}',
        '{"content": "a"} {}',
    ],
)
def test_another_document_is_a_failure_of_the_model(document: str) -> None:
    with pytest.raises(Failure) as caught:
        answer(document, [3])
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
