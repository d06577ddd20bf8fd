"""The rows X7 to X13: upstreams that break in mid-answer. Which tries each one is made of; data and generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from tests.faults import memory_net, speech
from tests.faults.recipes import DISTURBANCES, dying, well
from tests.faults.rows import Outcome, Row, spread
from tests.faults.scene import Answer, Moment, Seen, Side, scene
from tests.faults.speech import answer, call, streamed
from tests.upstreams import LAST_CHUNK, How, Play, chunk, head, sse

Sides = Callable[[], list[Side]]
"""Makes the upstreams of one try; none is used twice."""

PREFILL = {"prefill": True}


def row(fault: str, what: str, tries: Sequence[Sides], *, may_lose: bool = False) -> Row:
    """Each try on a virtual clock of its own; its seed is its place."""

    def play(n: int) -> Iterator[Outcome]:
        for seed, made in spread(list(enumerate(tries)), n):
            yield memory_net.run(played(made, seed)).outcome

    return Row(fault, what, len(tries), play, may_lose)


async def played(made: Sides, seed: int, stream: bool = True) -> Seen:
    """One try."""
    async with scene(*made(), seed=seed) as one:
        return await one.ask(stream=stream, stream_options={"include_usage": True})


# How an answer may go on


def nobody(bad: Answer, good: Answer) -> list[Side]:
    return [Side((bad,))]


def again(bad: Answer, good: Answer) -> list[Side]:
    return [Side((bad, good), facts={"deterministic": True, "draw_seed": True})]


def onward(bad: Answer, good: Answer) -> list[Side]:
    return [Side((bad, good), facts=PREFILL)]


def fallback(bad: Answer, good: Answer) -> list[Side]:
    return [Side((bad,)), Side((good,), facts=PREFILL)]


WAYS: dict[str, Callable[[Answer, Answer], list[Side]]] = {
    "nobody can go on": nobody,
    "its target says it again": again,
    "its target takes a prefill": onward,
    "the next target takes a prefill": fallback,
}
SURE = frozenset({again, onward, fallback})
"""Ways in which no answer in plain words may be lost."""


def each_way(
    fault: str,
    what: str,
    bad: Sequence[Answer],
    good: Answer = well,
    sure: frozenset[Callable[[Answer, Answer], list[Side]]] = SURE,
) -> Iterator[Row]:
    """One row for each way in which an answer may go on; in those that are `sure` no answer may be lost."""
    for way, made in WAYS.items():
        yield row(fault, f"{what}; {way}", [_bound(made, one, good) for one in bad], may_lose=made not in sure)


def _bound(made: Callable[[Answer, Answer], list[Side]], bad: Answer, good: Answer) -> Sides:
    return lambda: made(bad, good)


# Bad answers


def cut(payloads: list[bytes], end: How) -> list[Answer]:
    """Cut at every byte of the whole message, head and HTTP chunks included."""
    message = head() + b"".join(chunk(sse(each)) for each in payloads) + LAST_CHUNK
    return [_always(Play((message[:at],), end)) for at in range(1, len(message))]


def ended(payloads: list[bytes]) -> list[Answer]:
    """HTTP's framing is in order, and the body ends at every byte: by the last chunk."""
    body = b"".join(map(sse, payloads))
    return [_always(streamed(body[:at])) for at in range(len(body))]


def closed(payloads: list[bytes]) -> list[Answer]:
    """The body has no framing but the connection's end, which comes at every byte."""
    body = b"".join(map(sse, payloads))
    start = head(framing="")
    return [_always(Play((start, body[:at]), "clean")) for at in range(len(body))]


def stalled(payloads: list[bytes]) -> list[Answer]:
    """Silent from every event on. The first one says nothing yet."""
    events = [sse(each) for each in payloads]
    return [_always(streamed(*events[:at], whole=False, end="stall")) for at in range(len(events))]


def disturbed(kind: str) -> list[Answer]:
    """What disturbs stands before every event, once each; afterwards the answer goes on as if nothing was."""
    events = [sse(each) for each in answer()]
    return [
        _always(streamed(*events[:at], extra, *events[at:]))
        for extra in DISTURBANCES[kind]
        for at in range(len(events))
    ]


def _always(play: Play) -> Answer:
    return lambda moment: play


def _well_called(moment: Moment) -> Play:
    return speech.played(call())


# Chains


def chain(last: Answer, number: int) -> Sides:
    """Three targets: the first breaks at a random event, the next dies, and so may the last."""
    events = [sse(each) for each in answer()]
    at = Random(number).randrange(len(events) - len(speech.END))
    ends: tuple[How, ...] = ("reset", "clean", "stall")
    bad = _always(streamed(*events[:at], whole=False, end=ends[number % 3]))
    return lambda: [Side((bad,)), Side((dying,), facts=PREFILL), Side((last,), facts=PREFILL)]


def rows() -> Iterator[Row]:
    yield from each_way("X7", "reset at every byte", cut(answer(), "reset"))
    yield from each_way("X7", "closed at every byte, without the last chunk", cut(answer(), "clean"))
    yield from each_way("X8", "clean end at every byte, with the last chunk", ended(answer()))
    yield from each_way("X8", "end by close alone, at every byte", closed(answer()))
    yield from each_way("X9", "silent before the first word", stalled(answer())[:2], sure=frozenset({fallback}))
    yield from each_way("X9", "stall at every event after it", stalled(answer())[2:])
    harmless = [_bound(nobody, one, well) for one in disturbed("harmless")]
    yield row("X10", "pings, comments, empty events, before every event", harmless)
    yield from each_way("X10", "malformed or giant before every event", disturbed("malformed"))
    yield from each_way("X11", "in-band error before every event", disturbed("error"))
    yield row("X12", "the fallback dies too, the third is well; 50 seeds", [chain(well, seed) for seed in range(50)])
    dead = [chain(dying, seed) for seed in range(50)]
    yield row("X12", "all three die; 50 seeds", dead, may_lose=True)
    calls = frozenset({again})  # a call can't be gone on with in its middle
    yield from each_way("X13", "tool call reset at every byte", cut(call(), "reset"), _well_called, calls)
    yield from each_way("X13", "tool call, clean end at every byte", ended(call()), _well_called, calls)
