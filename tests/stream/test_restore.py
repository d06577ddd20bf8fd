"""An owner dies after any event, and the next one goes on as if nothing had been: the same bytes, the same end."""

import json
from collections.abc import Callable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.continued import partial
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
from riverrun.stream.restore import is_ending, restored
from riverrun.wire.chunk import DONE, Identity, decode
from riverrun.wire.errors import error_body
from riverrun.wire.fold import fold
from tests.stream.test_assembler import WHO, lit, text, words

TOKENS = b'[{"token":"a","logprob":-1.5,"bytes":[97],"top_logprobs":[]}]'
LATE = Identity("chatcmpl-other", 99, "other")
"""What the next owner would call a stream of its own; nothing of it may show."""


class Calls:
    """What was said of one choice's calls up to somewhere: names in order of opening, and arguments."""

    def __init__(self) -> None:
        self.opened: dict[int, ToolOpen] = {}
        self.arguments: dict[int, str] = {}

    def say(self, delta: Delta) -> None:
        if isinstance(delta, ToolOpen):
            self.opened[delta.call] = delta
            self.arguments[delta.call] = ""
        elif isinstance(delta, ToolArgs):
            self.arguments[delta.call] += json.loads(delta.literal)

    def missing(self, payloads: list[bytes], choice: int) -> Iterator[Delta]:
        """What of them is on no tape: the next upstream says it again, and a seam lets it through."""
        seen = partial(payloads, choice).calls
        for number, opened in enumerate(self.opened.values()):
            arguments = self.arguments[opened.call]
            if number >= len(seen):
                yield opened
            rest = arguments.removeprefix(seen[number][1]) if number < len(seen) else arguments
            if rest:
                yield ToolArgs(choice, opened.call, lit(rest))


def rests(deltas: list[Delta], plan: Plan) -> Iterator[tuple[list[bytes], list[Delta]]]:
    """Every cut: the payloads before it, and the deltas that are on none of them."""
    assembler = Assembler(WHO, plan)
    payloads: list[bytes] = []
    calls = [Calls() for _ in range(plan.n)]
    yield [], deltas
    for place, delta in enumerate(deltas):
        if not isinstance(delta, Open | Usage):
            calls[delta.choice].say(delta)
        more = assembler.push([delta])
        for cut in range(1, len(more) + 1):
            seen = payloads + more[:cut]
            again = [] if cut == len(more) or isinstance(delta, ToolOpen | ToolArgs) else [delta]
            held = [each for choice in range(plan.n) for each in calls[choice].missing(seen, choice)]
            yield seen, held + again + deltas[place + 1 :]
        payloads += more


def told(assembler: Assembler, deltas: list[Delta]) -> list[bytes]:
    payloads = [payload for delta in deltas for payload in assembler.push([delta])]
    return payloads + (assembler.finish() if assembler.complete else [])


@st.composite
def choice_deltas(draw: st.DrawFn, choice: int) -> list[Delta]:
    """All that an upstream may say of one choice, its calls one after the other or interleaved."""
    value = st.dictionaries(words, words, max_size=2).map(msgspec.json.encode)
    kinds: list[Callable[[], Delta]] = [
        lambda: Open(choice, "theirs", "fp_9", "flex"),
        lambda: Text(choice, lit(draw(words)), draw(st.sampled_from([None, TOKENS]))),
        lambda: Reasoning(choice, lit(draw(words))),
        lambda: Refusal(choice, lit(draw(words)), draw(st.sampled_from([None, TOKENS]))),
        lambda: Annotation(choice, draw(value)),
        lambda: Signature(choice, draw(value)),
        lambda: Audio(choice, draw(value)),
    ]
    deltas = [draw(st.sampled_from(kinds))() for _ in range(draw(st.integers(0, 4)))]
    said: list[list[Delta]] = []
    for call in range(draw(st.integers(0, 3))):
        arguments = draw(st.sampled_from(["", json.dumps(draw(st.dictionaries(words, words, max_size=2)))]))
        cut = draw(st.integers(0, len(arguments)))
        pieces: list[Delta] = [ToolArgs(choice, call, lit(each)) for each in (arguments[:cut], arguments[cut:])]
        said.append(pieces)
        deltas.append(ToolOpen(choice, call, f"c{choice}{call}", f"f{call}"))
        if draw(st.booleans()):
            deltas += pieces
            pieces.clear()
    order = draw(st.permutations([call for call, pieces in enumerate(said) for _ in pieces]))
    deltas += [said[call].pop(0) for call in order]
    return [*deltas, Finish(choice, draw(st.sampled_from(["stop", "length", "content_filter"])))]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Plan, list[Delta]]:
    n = draw(st.integers(1, 3))
    rows = [draw(choice_deltas(choice)) for choice in range(n)]
    order = draw(st.permutations([choice for choice, row in enumerate(rows) for _ in row]))
    plan = Plan(
        n=n,
        include_usage=draw(st.booleans()),
        logprobs=draw(st.booleans()),
        functions=draw(st.booleans()),
        thoughts=draw(
            st.sampled_from([(b"reasoning_content",), (b"reasoning",), (b"reasoning_content", b"reasoning")])
        ),
        pad=draw(st.sampled_from([None, lambda size: "x" * (size % 7)])),
    )
    return plan, [rows[choice].pop(0) for choice in order]


@settings(max_examples=120, deadline=None)
@given(conversations())
def test_after_any_event_another_owner_goes_on_byte_for_byte(conversation: tuple[Plan, list[Delta]]) -> None:
    plan, deltas = conversation
    deltas = [*deltas, Usage(30, 50)]
    whole = told(Assembler(WHO, plan), deltas)
    for seen, rest in rests(deltas, plan):
        who = LATE if seen else WHO
        later = restored(seen, who, plan)
        for choice in range(plan.n):
            partial(seen, choice)
        later.inherited.clear()  # the usage of this upstream is for all choices
        assert seen + told(later, rest) == whole


@settings(max_examples=60, deadline=None)
@given(conversations())
def test_the_state_is_the_same_and_not_only_what_it_says(conversation: tuple[Plan, list[Delta]]) -> None:
    plan, deltas = conversation
    assembler, payloads = Assembler(WHO, plan), list[bytes]()
    for delta in deltas:
        payloads += assembler.push([delta])
        later = restored(payloads, WHO, plan)
        assert later.committed is assembler.committed
        assert later.complete is assembler.complete
        assert later.signed is assembler.signed
        assert later.unfinished((0,)) == assembler.unfinished((0,))
        assert later.pushed == []
        if assembler.committed:
            assert later.identity == assembler.identity


@pytest.mark.parametrize("count", [1, 2])
def test_the_openers_that_are_missing_come_with_the_next_word(count: int) -> None:
    plan = Plan(n=3, include_usage=True, logprobs=True)
    call = ToolOpen(2, 0, "call_a", "f")
    whole = Assembler(WHO, plan).push([call])
    later = restored(whole[:count], LATE, plan)
    assert later.committed
    assert later.push([Open(0, "another", "fp_other", "flex"), text("")]) == []
    assert later.push([call]) == whole[count:]
    assert json.loads(whole[2])["choices"][0]["delta"]["content"] is None


def test_a_call_is_gone_on_with_by_its_number_and_an_empty_one_is_filled_in_once() -> None:
    plan = Plan(functions=True)
    first: list[Delta] = [ToolOpen(0, 0, "a", "f"), ToolArgs(0, 0, lit('{"x"')), ToolArgs(0, 0, lit(": 1}"))]
    second: list[Delta] = [ToolOpen(0, 1, "b", "g"), Finish(0, "stop")]
    assembler = Assembler(WHO, plan)
    whole = assembler.push(first + second)
    later = restored(whole[:3], WHO, plan)
    assert later.push([ToolArgs(0, 0, lit(": 1}")), *second]) == whole[3:]
    filled = restored(whole[:-1], WHO, plan)
    assert filled.push([Finish(0, "stop")]) == whole[-1:]


def test_what_the_grammar_refuses_it_refuses_after_a_restore_too() -> None:
    payloads = Assembler(WHO, Plan()).push([ToolOpen(0, 0, "a", "f"), ToolArgs(0, 0, lit('{"x"'))])
    with pytest.raises(Failure, match="not valid JSON") as caught:
        restored(payloads, WHO, Plan()).push([Finish(0, "stop")])
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
    finished = Assembler(WHO, Plan()).push([text("a"), Finish(0, "stop")])
    with pytest.raises(Failure, match="after its finish_reason"):
        restored(finished, WHO, Plan()).push([text("b")])
    with pytest.raises(Failure, match="choice 0"):
        restored(finished[:1], WHO, Plan()).finish()


# What it costs.


def test_an_estimate_counts_what_is_on_the_tape() -> None:
    plan = Plan(messages=[{"role": "user", "content": "x" * 100}])
    said: list[Delta] = [text("a"), text("b"), Reasoning(0, lit("c"))]
    assembler = Assembler(WHO, plan)
    payloads = assembler.push(said)
    assert restored(payloads, WHO, plan).usage == assembler.usage


def test_the_usage_chunk_is_taken_at_its_word_and_not_sent_twice() -> None:
    plan = Plan(include_usage=True)
    assembler = Assembler(WHO, plan)
    payloads = assembler.push([text("a"), Finish(0, "stop"), Usage(30, 50)]) + assembler.finish()
    later = restored(payloads[:-1], WHO, plan)
    assert later.complete
    assert later.usage == assembler.usage
    assert later.finish() == [DONE]


def test_choices_that_were_finished_count_beside_what_the_next_upstream_says() -> None:
    plan = Plan(n=2)
    payloads = Assembler(WHO, plan).push([text("a"), text("b"), Finish(0, "stop"), text("c", 1)])
    later = restored(payloads, WHO, plan)
    later.spent += partial(payloads, 1).deltas
    later.push([text("d", 1), Usage(10, 4), Finish(1, "stop")])
    assert (later.usage.prompt_tokens, later.usage.completion_tokens) == (9, 4 + 1 + 2)


# Tapes that nobody can go on with.


def test_an_ending_is_told_from_a_chunk() -> None:
    chunk = Assembler(WHO, Plan()).push([text('{"error":{}}')])
    frame = error_body(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"), request_id="r")
    assert [is_ending(payload) for payload in (*chunk, frame, DONE)] == [False, False, True, True]
    for last in (frame, DONE):
        with pytest.raises(ValueError, match="the end of a stream"):
            restored([*chunk, last], WHO, Plan())


@pytest.mark.parametrize("junk", [b"", b"{}", b'{"id":1}', b"[]", b'"error"'])
def test_what_is_no_chunk_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="no chunk"):
        restored([junk], WHO, Plan())


def test_a_tape_of_another_request_is_refused() -> None:
    payloads = Assembler(WHO, Plan(n=2)).push([text("a", 1)])
    with pytest.raises(ValueError, match="no stream of this request"):
        restored(payloads, WHO, Plan())
    doubled = Assembler(WHO, Plan()).push([text("a"), Finish(0, "stop")])
    with pytest.raises(ValueError, match="after its finish_reason"):
        restored([*doubled, doubled[-1]], WHO, Plan())


def test_an_annotation_with_nothing_in_it_is_still_json() -> None:
    payloads = Assembler(WHO, Plan()).push([Annotation(0, b"{}"), Annotation(0, b'{"a":1}'), Finish(0, "stop")])
    assert [decode(payload).choices[0].delta.annotations for payload in payloads[1:3]] == [
        [{"index": 0}],
        [{"index": 1, "a": 1}],
    ]
    assert fold(payloads).choices[0].message.annotations == [{}, {"a": 1}]
