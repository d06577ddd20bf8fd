"""The rows X1: a client that is reset at every byte of its answer, and comes back for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Literal

from tests.client.asking import ASKING, Answer
from tests.client.network import Cut, relaying
from tests.faults import memory_net
from tests.faults.compared import asked_once, differing, outcome
from tests.faults.house import Speaker, house
from tests.faults.lines import EVENTS, POST, ask, at, chat, resumed
from tests.faults.rows import Outcome, Row, spread
from tests.faults.speech import ANSWER, ARGUMENTS, NAME

TOOLS = [{"type": "function", "function": {"name": NAME}}]
ASKED: dict[str, Mapping[str, object]] = {
    "text": {},
    "two choices and their usage": {"n": 2, "stream_options": {"include_usage": True}},
    "a tool call": {"tools": TOOLS},
}
TRIES = {"text": 2700, "two choices and their usage": 5000, "a tool call": 3300}
"""Every byte once, and some of them again: an answer may grow by a header without another row."""
PAUSES = (0.0, 0.03, 2.0)
"""Seconds until the client comes back: the answer runs still, has gone on, or is over."""
AT_ONCE = 250
"""Tries of one server."""
SDK_TRIES = 200
WHOLE = Cut(1 << 40)


def truth(kind: str) -> dict[int, str]:
    """What the upstream says, by choice."""
    two, called = {0: ANSWER, 1: ANSWER}, {0: NAME + ARGUMENTS}
    return {"text": {0: ANSWER}, "two choices and their usage": two, "a tool call": called}[kind]


def rows() -> Iterator[Row]:
    for kind, tries in TRIES.items():
        yield Row("X1", f"reset at every byte of {kind}", tries, partial(everywhere, kind), in_suite=60)
    for mode in ("sync", "async"):
        what = f"the same under openai-python with riverrun.client(), {mode}, over TCP"
        yield Row("X1", what, SDK_TRIES, partial(under_the_sdk, mode), in_suite=24)


def everywhere(kind: str, n: int) -> Iterator[Outcome]:
    size = memory_net.run(length(kind))
    assert size <= TRIES[kind], f"{kind} has {size} bytes: not all of them were tried"
    offsets = [number % size for number in range(n)] if n > size else list(spread(range(size), n))
    tries = list(enumerate(offsets))
    for first in range(0, len(tries), AT_ONCE):
        yield from memory_net.run(played(kind, tries[first : first + AT_ONCE]))


async def length(kind: str) -> int:
    """Of the whole answer, its head included."""
    async with house(Speaker()) as port:
        return len((await ask(port, POST, {**chat(stream=True), **ASKED[kind]})).raw)


async def played(kind: str, tries: list[tuple[int, int]]) -> list[Outcome]:
    speaker = Speaker()
    async with house(speaker) as port:
        return [await one(speaker, port, kind, number, offset) for number, offset in tries]


async def one(speaker: Speaker, port: int, kind: str, number: int, offset: int) -> Outcome:
    """A client that was reset before it heard of an address finds its answer by its key."""
    asked = {**chat(f"Tell {number}.", stream=True), **ASKED[kind]}
    key = {"idempotency-key": f"key-{number}"}
    first = await ask(port, POST, asked, key, place=at(offset))
    await asyncio.sleep(PAUSES[number % len(PAUSES)])
    second = await (resumed(port, first) if first.place else ask(port, POST, asked, key))
    tape = await ask(port, f"GET {first.place or second.place}", headers=EVENTS)
    return outcome([first, second], tape, truth(kind), asked_once(speaker, f"Tell {number}."))


# The stock SDK


def under_the_sdk(mode: Literal["sync", "async"], n: int) -> Iterator[Outcome]:
    return iter(asyncio.run(_under_the_sdk(mode, n)))


async def _under_the_sdk(mode: str, n: int) -> list[Outcome]:
    speaker = Speaker(pace=0.0005)
    async with house(speaker) as port, relaying(port) as relay:
        raw = (await ask(port, POST, chat(stream=True))).raw
        places = spread(range(raw.index(b"[DONE]\n\n") + len(b"[DONE]\n\n")), n)  # after it the SDK wants no more
        (true,) = await asyncio.to_thread(ASKING[mode], relay.base_url)
        for place in places:
            relay.cuts += [Cut(place, "reset"), WHOLE]
        before = len(speaker.calls)
        answers = await asyncio.to_thread(ASKING[mode], relay.base_url, len(places))
        outcomes = [judged(answer, true) for answer in answers]
        calls = len(speaker.calls) - before
    if calls != len(places) or relay.cuts:
        broken = f"{calls} upstream calls for {len(places)} answers, {len(relay.cuts)} cuts left"
        outcomes[-1] = outcomes[-1]._replace(broken=broken)
    return outcomes


def judged(answer: Answer, true: Answer) -> Outcome:
    """What the SDK's user has, beside the same without a cut."""
    whole = contents(answer) == contents(true) and not answer["error"]
    finished = not answer["error"]
    wrong = differing(contents(answer), contents(true), finished=finished)
    return Outcome(whole, bool(answer["error"]), wrong, finished and not whole)


def contents(answer: Answer) -> bytes:
    """All choices of all chunks, one line each."""
    return b"".join(repr(chunk["choices"]).encode() + b"\n" for chunk in answer["chunks"])
