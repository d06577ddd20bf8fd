"""The rows X2: a client that drops when there is least to hold on to, and comes back for the stream or the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from random import Random
from typing import NamedTuple

from tests.faults import memory_net
from tests.faults.compared import asked_once, completion, outcome
from tests.faults.house import Speaker, house
from tests.faults.lines import EVENTS, POST, Got, Place, ask, at, before, chat, resumed
from tests.faults.rows import Outcome, Row, spread
from tests.faults.speech import ANSWER

HELD = 12.0
"""Seconds without a word after which the head has gone out by itself."""
SEEDS = 15
TRUE = {0: ANSWER}


class Moment(NamedTuple):
    """When the client drops. `silence`: of the upstream before its first word. `place` may draw an offset."""

    name: str
    silence: float
    place: Callable[[Random], Place]


def _head_only(random: Random) -> Place:
    return lambda raw: raw.index(b"\r\n\r\n") + 4 if b"\r\n\r\n" in raw else None


def _in_the_first(random: Random) -> Place:
    more = random.randrange(len(b"id: 1\ndata: {}\n\n"))
    return lambda raw: raw.index(b"id: 1") + more if b"id: 1" in raw else None


MOMENTS = (
    Moment("before the head", 1.0, lambda random: at(0)),
    Moment("before the first token", HELD, _head_only),
    Moment("in the first event", 0.0, _in_the_first),
    Moment("at the second event", 0.0, lambda random: before(b"id: 2\n")),
    Moment("before [DONE]", 0.0, lambda random: before(b"data: [DONE]")),
)
NAMES: dict[str, tuple[Mapping[str, str], Mapping[str, object]]] = {
    "an idempotency key": ({"idempotency-key": "k"}, {}),
    "`store`": ({}, {"store": True}),
    "the header grace": ({"x-riverrun-on-disconnect": "grace"}, {}),
    "the header finish": ({"x-riverrun-on-disconnect": "finish"}, {}),
}
"""What says that the client means to come back: headers, and fields of the body."""
WAYS = ("the stream", "the whole")


def rows() -> Iterator[Row]:
    for name in NAMES:
        tries = tuple(_tries(name))
        what = f"back for the stream and for the whole, with {name}"
        yield Row("X2", what, len(tries), partial(_played, name), in_suite=16)


def _tries(name: str) -> Iterator[tuple[Moment, str, int]]:
    """Without a key or a list nobody knows an answer whose head has not come."""
    nameless = name.startswith("the header")
    return product(MOMENTS[nameless:], WAYS, range(SEEDS))


def _played(name: str, n: int) -> Iterator[Outcome]:
    for moment, way, seed in spread(list(_tries(name)), n):
        yield memory_net.run(one(name, moment, way, Random(f"{name} {moment.name} {way} {seed}")))


async def one(name: str, moment: Moment, way: str, random: Random) -> Outcome:
    headers, fields = NAMES[name]
    speaker = Speaker(pace=random.choice((0.0, 0.01, 1.0)), silence=moment.silence)
    async with house(speaker, seed=random.randrange(2**32)) as port:
        asked = {**chat(stream=True), **fields}
        first = await ask(port, POST, asked, headers, place=moment.place(random))
        loop = asyncio.get_running_loop()
        dropped = loop.time()
        await asyncio.sleep(random.choice((0.0, 0.03, 3.0, 25.0)))
        place = first.place or await _found(port, asked, headers)
        if way == "the whole":
            got = await ask(port, f"GET {place}")
            return completion(got, TRUE, asked_once(speaker, "Tell."))._replace(gap=loop.time() - dropped)
        again = await (resumed(port, first) if first.place else ask(port, f"GET {place}", headers=EVENTS))
        tape = await ask(port, f"GET {place}", headers=EVENTS)
        return outcome([first, again], tape, TRUE, asked_once(speaker, "Tell."))


async def _found(port: int, asked: Mapping[str, object], headers: Mapping[str, str]) -> str:
    """The address of an answer whose head has not come: by its key, or in the list of what is stored."""
    if headers:
        joined: Got = await ask(port, POST, asked, headers)
        return joined.place
    while True:
        listed = (await ask(port, "GET /v1/chat/completions")).json["data"]
        assert isinstance(listed, list)
        if listed:
            return f"/v1/chat/completions/{listed[0]['id']}"
        await asyncio.sleep(1.0)
