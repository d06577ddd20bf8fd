"""Tool calls come out densely numbered, one after the other, and complete."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.calls import Argued, Calls, Fragment, Opened
from riverrun.stream.deltas import ToolArgs, ToolOpen


def opened(call: int) -> ToolOpen:
    return ToolOpen(0, call, f"call_{call}", f"f{call}")


def args(call: int, text: str) -> ToolArgs:
    return ToolArgs(0, call, json.dumps(text).encode())


def feed(calls: Calls, deltas: list[ToolOpen | ToolArgs]) -> None:
    for delta in deltas:
        calls.open(delta) if isinstance(delta, ToolOpen) else calls.argue(delta)


def said(fragments: list[Fragment]) -> list[tuple[int, str]]:
    """What a client sees: (number, name or arguments)."""
    return [
        (each.number, each.name) if isinstance(each, Opened) else (each.number, json.loads(each.literal))
        for each in fragments
    ]


def test_fragments_of_the_open_call_pass_at_once() -> None:
    calls = Calls()
    assert said(calls.open(opened(5))) == [(0, "f5")]
    assert said(calls.argue(args(5, '{"a"'))) == [(0, '{"a"')]
    assert said(calls.argue(args(5, ":1}"))) == [(0, ":1}")]
    assert calls.close("tool_calls") == []


def test_interleaved_calls_are_put_one_after_the_other() -> None:
    calls = Calls()
    assert said(calls.open(opened(0))) == [(0, "f0")]
    assert calls.open(opened(1)) == []
    assert calls.argue(args(1, "[1")) == []
    assert said(calls.argue(args(0, "[0]"))) == [(0, "[0]"), (1, "f1"), (1, "[1")]
    assert said(calls.argue(args(1, "]"))) == [(1, "]")]
    assert calls.close("tool_calls") == []


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    calls = Calls()
    calls.open(opened(0))
    calls.open(opened(1))
    assert said(calls.close("stop")) == [(0, "{}"), (1, "f1"), (1, "{}")]


def test_an_empty_fragment_says_nothing() -> None:
    calls = Calls()
    calls.open(opened(0))
    assert calls.argue(args(0, "")) == []


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_the_last_call_may_be_cut_by_a_limit_and_is_not_repaired(reason: str) -> None:
    calls = Calls()
    calls.open(opened(0))
    calls.argue(args(0, '{"a'))
    assert calls.close(reason) == []  # type: ignore[arg-type]  # parametrised with two of the literals


def test_an_earlier_call_may_not_be_cut() -> None:
    calls = Calls()
    calls.open(opened(0))
    calls.argue(args(0, '{"a'))
    calls.open(opened(1))
    with pytest.raises(Failure, match="'f0' are not valid JSON"):
        calls.close("length")


@pytest.mark.parametrize(
    ("deltas", "match"),
    [
        ([opened(0), opened(0)], "twice"),
        ([args(3, "{}")], "had not opened"),
        ([opened(0), args(0, "{}"), opened(1), args(0, "x")], "after they were complete"),
    ],
)
def test_an_upstream_that_mixes_calls_up_is_blamed(deltas: list[ToolOpen | ToolArgs], match: str) -> None:
    calls = Calls()
    with pytest.raises(Failure, match=match) as caught:
        feed(calls, deltas)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


def test_white_space_after_a_complete_call_is_nothing() -> None:
    calls = Calls()
    feed(calls, [opened(0), args(0, "{}"), opened(1)])
    assert calls.argue(args(0, " \n")) == []


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=6), max_size=3), max_size=5),
    st.data(),
)
def test_any_interleaving_comes_out_in_order_and_whole(values: list[dict[str, object]], data: st.DataObject) -> None:
    """However the upstream mixes the fragments of its calls, a client sees each whole, in order of opening."""
    texts = [json.dumps(value) for value in values]
    todo: list[list[ToolOpen | ToolArgs]] = []
    for call, text in enumerate(texts):
        cut = data.draw(st.integers(0, len(text)))
        todo.append([opened(call), args(call, text[:cut]), args(call, text[cut:])])
    calls, out = Calls(), []
    started = 0
    while any(todo):
        ready = [index for index, rest in enumerate(todo) if rest and (index <= started)]
        index = data.draw(st.sampled_from(ready))
        delta = todo[index].pop(0)
        started = max(started, index + 1) if isinstance(delta, ToolOpen) else started
        out += calls.open(delta) if isinstance(delta, ToolOpen) else calls.argue(delta)
    out += calls.close("stop")
    numbers = [each.number for each in out]
    assert numbers == sorted(numbers)
    for number, text in enumerate(texts):
        mine = [each for each in out if each.number == number]
        assert isinstance(mine[0], Opened)
        assert mine[0].id == f"call_{number}"
        assert "".join(json.loads(each.literal) for each in mine[1:] if isinstance(each, Argued)) == text
