"""What a client has seen, the ask that goes on after it, and the seam between two answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.continued import Partial, Seam, partial, prefilled
from riverrun.stream.deltas import Delta, Finish, Reasoning, Refusal, Text, ToolArgs, ToolOpen
from riverrun.wire.chunk import Identity
from riverrun.wire.fold import fold
from riverrun.wire.request import parse_chat

WHO = Identity("c", 7, "tiny")


def lit(text: str) -> bytes:
    return json.dumps(text).encode()


def said(deltas: list[Delta], n: int = 1) -> list[bytes]:
    return Assembler(WHO, Plan(n=n)).push(deltas)


def ask(**parameters: object) -> Ask:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **parameters}
    return Ask(parse_chat(json.dumps(body).encode()), "c", 7, "me")


def test_what_was_seen_of_each_choice() -> None:
    payloads = said(
        [
            Reasoning(0, lit("hm")),
            Text(1, lit("other")),
            Text(0, lit("He")),
            Text(0, lit("llo")),
            ToolOpen(0, 4, "c1", "f"),
            ToolArgs(0, 4, lit('{"a"')),
            Refusal(1, lit("no")),
        ],
        n=2,
    )
    assert partial(payloads, 0) == Partial("Hello", "hm", "", (("f", '{"a"'),), deltas=5)
    assert partial(payloads, 1) == Partial("other", "", "no", (), deltas=2)
    assert partial([*payloads, b"[DONE]"], 0).text == "Hello"


def test_deprecated_function_calls_are_seen_like_tool_calls() -> None:
    deltas: list[Delta] = [ToolOpen(0, 0, "a", "f"), ToolArgs(0, 0, lit("{}")), ToolOpen(0, 1, "b", "g")]
    payloads = Assembler(WHO, Plan(functions=True)).push(deltas)
    assert partial(payloads, 0) == Partial(calls=(("f", "{}"), ("g", "")), deltas=3)
    assert partial(payloads, 0).visible


@pytest.mark.parametrize(
    ("so_far", "visible"),
    [(Partial(), False), (Partial(reasoning="x"), False), (Partial("x"), True), (Partial(calls=(("f", ""),)), True)],
)
def test_reasoning_alone_is_nothing_that_was_seen(so_far: Partial, visible: bool) -> None:
    assert so_far.visible is visible


def test_limits_are_reduced_and_at_least_one_token_is_left() -> None:
    went_on = prefilled(ask(max_tokens=10, max_completion_tokens=20), Partial("Hello"), used=8)
    assert went_on.prefill == "Hello"
    assert (went_on.chat.request.max_tokens, went_on.chat.request.max_completion_tokens) == (2, 12)
    assert (went_on.chat.body["max_tokens"], went_on.chat.body["max_completion_tokens"]) == (2, 12)
    assert prefilled(ask(max_tokens=10), Partial("Hello"), used=50).chat.request.max_tokens == 1
    assert "max_tokens" not in prefilled(ask(), Partial("Hello"), used=5).chat.body


words = st.text("ab ", min_size=1, max_size=3)


@st.composite
def answers(draw: st.DrawFn) -> list[Delta]:
    deltas: list[Delta] = [Reasoning(0, lit(word)) for word in draw(st.lists(words, max_size=2))]
    deltas += [Text(0, lit(word)) for word in draw(st.lists(words, min_size=1, max_size=5))]
    for call in range(draw(st.integers(0, 2))):
        arguments = json.dumps({"k": draw(words)})
        deltas += [ToolOpen(0, call, f"c{call}", f"f{call}"), ToolArgs(0, call, lit(arguments[:4]))]
        deltas += [ToolArgs(0, call, lit(arguments[4:]))]
    return [*deltas, Finish(0, "stop")]


@given(answers(), st.data())
def test_an_answer_that_is_said_again_goes_on_without_a_seam(deltas: list[Delta], data: st.DataObject) -> None:
    """Cut anywhere, said again in other pieces: the client's stream folds to the whole answer."""
    cut = data.draw(st.integers(1, len(deltas) - 1))
    assembler = Assembler(WHO, Plan())
    payloads = assembler.push(deltas[:cut])
    seam = Seam(partial(payloads, 0))
    for delta in _in_other_pieces(deltas, data):
        payloads += assembler.push(seam.passed([delta]))
    assert seam.closed
    whole = fold(payloads + assembler.finish())
    straight = Assembler(WHO, Plan())
    assert whole == fold(straight.push(deltas) + straight.finish())


def _in_other_pieces(deltas: list[Delta], data: st.DataObject) -> list[Delta]:
    pieces: list[Delta] = []
    for delta in deltas:
        if isinstance(delta, Text | Reasoning):
            text = json.loads(delta.literal)
            at = data.draw(st.integers(0, len(text)))
            pieces += [type(delta)(0, lit(part)) for part in (text[:at], text[at:])]
        else:
            pieces.append(delta)
    return pieces


@pytest.mark.parametrize(
    ("so_far", "deltas", "match"),
    [
        (Partial("Hello"), [Text(0, lit("Help"))], "something else"),
        (Partial("Hello"), [Text(0, lit("Hell")), Finish(0, "stop")], "ended before"),
        (Partial(calls=(("f", "{}"),)), [ToolOpen(0, 0, "c", "g")], "calls 'g' where the first answer called 'f'"),
        (Partial(calls=(("f", '{"a"'),)), [ToolOpen(0, 0, "c", "f"), ToolArgs(0, 0, lit('{"b"'))], "something else"),
        (Partial(calls=(("f", "{"),)), [Finish(0, "stop")], "ended before"),
    ],
)
def test_two_halves_of_two_answers_are_no_answer(so_far: Partial, deltas: list[Delta], match: str) -> None:
    seam = Seam(so_far)
    with pytest.raises(Failure, match=match):
        seam.passed(deltas)


def test_an_answer_begun_anew_does_not_say_its_thoughts_again() -> None:
    seam = Seam(Partial(reasoning="first thoughts"), anew=True)
    assert seam.passed([Reasoning(0, lit("others")), Text(0, lit("Hi")), Finish(0, "stop")]) == [
        Text(0, lit("Hi")),
        Finish(0, "stop"),
    ]
