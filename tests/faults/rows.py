"""The rows X7 to X13 of the table of faults survived: which tries each one is made of. Data and generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from tests.faults import speech
from tests.faults.recipes import DISTURBANCES, RECIPES, Arrangement, Recipe, dying, well
from tests.faults.scene import Answer, Moment, Seen, Side, scene
from tests.faults.speech import answer, call, streamed
from tests.faults.tries import sides
from tests.upstreams import LAST_CHUNK, How, Play, chunk, head, sse

Sides = Callable[[], list[Side]]


class Row(NamedTuple):
    """`tries` make the upstreams of one try each; none is used twice."""

    fault: str
    what: str
    tries: Sequence[Sides]


PREFILL = {"prefill": True}


def _well_called(moment: Moment) -> Play:
    return speech.played(call())


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


def each_way(fault: str, what: str, bad: Sequence[Answer], good: Answer = well) -> Iterator[Row]:
    """One row for each way in which an answer may go on."""
    for way, made in WAYS.items():
        yield Row(fault, f"{what}; {way}", [_bound(made, one, good) for one in bad])


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


def disturbed(extra: bytes, payloads: list[bytes]) -> list[Answer]:
    """These bytes stand before every event, once each; afterwards the answer goes on as if nothing was."""
    events = [sse(each) for each in payloads]
    return [_always(streamed(*events[:at], extra, *events[at:])) for at in range(len(events))]


def _always(play: Play) -> Answer:
    return lambda moment: play


# Chains


def chain(last: Answer, number: int) -> Sides:
    """Three targets: the first breaks at a random event, the next dies, and so may the last."""
    events = [sse(each) for each in answer()]
    at = Random(number).randrange(len(events) - len(speech.END))
    ends: tuple[How, ...] = ("reset", "clean", "stall")
    bad = _always(streamed(*events[:at], whole=False, end=ends[number % 3]))
    return lambda: [Side((bad,)), Side((dying,), facts=PREFILL), Side((last,), facts=PREFILL)]


ARRANGED: dict[Arrangement, str] = {
    "alone": "one target",
    "healthy": "a fallback that is well",
    "dying": "a fallback that dies too",
}


def recipes() -> Iterator[Row]:
    """Every recipe of one request, in each arrangement, with seeds of its own."""
    for arrangement, named in ARRANGED.items():
        made = [_arranged(one, arrangement) for one in RECIPES if one.requests == 1]
        yield Row("all", f"every recipe, 20 seeds each; {named}", made * 20)


def _arranged(recipe: Recipe, arrangement: Arrangement) -> Sides:
    return lambda: sides(recipe, arrangement, 1.0)


def rows() -> Iterator[Row]:
    yield from recipes()
    yield from each_way("X7", "reset at every byte", cut(answer(), "reset"))
    yield from each_way("X7", "closed at every byte, without the last chunk", cut(answer(), "clean"))
    yield from each_way("X8", "clean end at every byte, with the last chunk", ended(answer()))
    yield from each_way("X8", "end by close alone, at every byte", closed(answer()))
    yield from each_way("X9", "silent before the first word", stalled(answer())[:2])
    yield from each_way("X9", "stall at every event after it", stalled(answer())[2:])
    harmless = [one for extra in DISTURBANCES["harmless"] for one in disturbed(extra, answer())]
    harmful = [one for extra in DISTURBANCES["malformed"] for one in disturbed(extra, answer())]
    yield Row(
        "X10", "pings, comments, empty events, before every event", [_bound(nobody, one, well) for one in harmless]
    )
    yield from each_way("X10", "malformed or giant before every event", harmful)
    errors = [one for extra in DISTURBANCES["error"] for one in disturbed(extra, answer())]
    yield from each_way("X11", "in-band error before every event", errors)
    yield Row("X12", "the fallback dies too, the third is well; 50 seeds", [chain(well, seed) for seed in range(50)])
    yield Row("X12", "all three die; 50 seeds", [chain(dying, seed) for seed in range(50)])
    yield from each_way("X13", "tool call reset at every byte", cut(call(), "reset"), _well_called)
    yield from each_way("X13", "tool call, clean end at every byte", ended(call()), _well_called)


async def played(made: Sides, seed: int, stream: bool = True) -> Seen:
    """One try."""
    async with scene(*made(), seed=seed) as one:
        return await one.ask(stream=stream, stream_options={"include_usage": True})
