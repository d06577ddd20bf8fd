"""The rows X4: an answer that is read on, fetched, joined, cancelled and deleted where it is not written: on the other
worker, or at another replica that has the same tapes. Real processes, real sockets, real Redis."""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.faults.compared import asked_once, completion, outcome
from tests.faults.house import Speaker
from tests.faults.lines import EVENTS, POST, Got, Line, ask, at, chat, connected, resumed
from tests.faults.replicas import replica
from tests.faults.rows import Outcome, Row
from tests.redis import PROGRAM, redis_server
from tests.server.workers.scenes import until, workers
from tests.servers import Served
from tests.upstreams import serve

TRIES = 63
WORDS = [f"Wort {number} 川 " for number in range(20)]
TRUE = {0: "".join(WORDS)}
PACE = 0.002
SLOW = 5.0
"""Seconds between two words of an answer that is cancelled or deleted while it runs."""
BYTES = 5000
"""Of the whole answer, about."""
MORE = "header_seconds = 60"
"""Connections stand for a while before they are used."""

Door = Callable[[], Awaitable[Line]]
"""Makes a connection to one of the two."""


class Pair(NamedTuple):
    here: Door
    there: Door


class Try(NamedTuple):
    """One try: its prompt is its own, and so is its key."""

    pair: Pair
    speaker: Speaker
    number: int
    random: Random

    @property
    def prompt(self) -> str:
        return f"Tell {self.number}."

    @property
    def key(self) -> dict[str, str]:
        return {"idempotency-key": self.prompt}

    async def begun(self, place: int | None) -> Got:
        """Asked here, and reset at this byte."""
        leaves = at(BYTES * 2 if place is None else place)
        return await ask(await self.pair.here(), POST, chat(self.prompt, stream=True), self.key, leaves)

    async def pause(self) -> None:
        """The answer runs still, or is over."""
        await asyncio.sleep(self.random.choice((0.0, 0.01, 0.2)))

    async def judged(self, parts: list[Got]) -> Outcome:
        tape = await ask(await self.pair.there(), f"GET {parts[-1].place or parts[0].place}", headers=EVENTS)
        return outcome(parts, tape, TRUE, asked_once(self.speaker, self.prompt))


async def resume(one: Try) -> Outcome:
    """By the number of the last event; without an address, by the key."""
    first = await one.begun(one.random.randrange(BYTES))
    await one.pause()
    line = await one.pair.there()
    if first.place:
        return await one.judged([first, await resumed(line, first)])
    return await one.judged([first, await ask(line, POST, chat(one.prompt, stream=True), one.key)])


async def fetch(one: Try) -> Outcome:
    """As a whole, while the first reader reads on or has left."""
    first = await one.begun(one.random.randrange(700, BYTES))
    await one.pause()
    got = await ask(await one.pair.there(), f"GET {first.place}")
    return completion(got, TRUE, asked_once(one.speaker, one.prompt))


async def join(one: Try) -> Outcome:
    """By the key, from the beginning; and the first reader gets the same."""
    reading = asyncio.create_task(one.begun(None))
    await one.speaker.heard(one.prompt)
    await one.pause()
    got = await ask(await one.pair.there(), POST, chat(one.prompt, stream=True), one.key)
    first = await reading
    joined = await one.judged([got])
    return joined if first.events == got.events else joined._replace(broken="the two readers' answers differ")


async def cancel(one: Try) -> Outcome:
    """Its reader is cut, its upstream let go, and what there was can still be had."""
    answer = await _slow(one, "POST", "/cancel", {})
    kept = await ask(await one.pair.here(), f"GET {answer.place}", headers=EVENTS)
    right = answer.status == "cancelled" and kept.events == answer.seen.events and not kept.clean
    return _ended(one, answer, right=right)


async def delete(one: Try) -> Outcome:
    """Its reader is cut, its upstream let go, and nobody can have it any more."""
    answer = await _slow(one, "DELETE", "", None)
    lines = [await one.pair.here(), await one.pair.there()]
    after = [(await ask(line, f"GET {answer.place}", headers=EVENTS)).status for line in lines]
    return _ended(one, answer, right=answer.status == "chat.completion.deleted" and after == [404, 404])


class Stopped(NamedTuple):
    """`seen` by its reader until it was stopped; `status`: what the one who stopped it was told."""

    place: str
    seen: Got
    status: object


async def _slow(one: Try, method: str, path: str, body: dict[str, object] | None) -> Stopped:
    gate = one.random.randrange(2, len(WORDS))
    one.speaker.gates = {gate: asyncio.Event()}
    mark = asyncio.Event()
    place = ""

    def reading(raw: bytes) -> None:
        nonlocal place
        if b"id: %d\n" % gate in raw:  # the opener's is the first, so that this is the last before the gate
            place = raw.split(b"location: ")[1].partition(b"\r\n")[0].decode()
            mark.set()

    left = one.speaker.left
    line = await one.pair.here()
    reader = asyncio.create_task(ask(line, POST, chat(one.prompt, stream=True), one.key, reading))
    async with asyncio.timeout(SLOW):
        await mark.wait()
    told = await ask(await one.pair.there(), f"{method} {place}{path}", body)
    async with asyncio.timeout(SLOW):
        seen = await reader
    await one.speaker.gone(left + 1)
    one.speaker.gates = {}
    return Stopped(place, seen, told.json.get("status") or told.json["object"])


def _ended(one: Try, answer: Stopped, *, right: bool) -> Outcome:
    broken = asked_once(one.speaker, one.prompt)
    finished = answer.seen.done or answer.seen.clean
    return Outcome(right and not broken, False, 0, finished, broken=broken or ("" if right else f"{answer}"))


ACTIONS = (resume, resume, resume, fetch, join, cancel, delete)


# The arrangements


@asynccontextmanager
async def two_workers(speaker: Speaker, folder: Path) -> AsyncIterator[Pair]:
    tapes, two = f"file:{folder}/tapes", ("--workers", "2")
    async with replica(folder, speaker.base_url, tapes, arguments=two, more=MORE) as server:
        doors = Doors(server)
        try:
            one, other = doors.pids
            yield Pair(partial(doors.to, one), partial(doors.to, other))
        finally:
            doors.close()


@asynccontextmanager
async def two_servers(speaker: Speaker, folder: Path, tapes: str = "") -> AsyncIterator[Pair]:
    tapes = tapes or f"file:{folder}/tapes"
    async with (
        replica(folder / "a", speaker.base_url, tapes) as one,
        replica(folder / "b", speaker.base_url, tapes) as other,
    ):
        yield Pair(partial(connected, one.port), partial(connected, other.port))


@asynccontextmanager
async def before_redis(speaker: Speaker, folder: Path) -> AsyncIterator[Pair]:
    with redis_server() as redis:
        async with two_servers(speaker, folder, redis.url) as pair:
            yield pair


class Doors:
    """Connections of a server with two workers, by the worker that has taken each."""

    def __init__(self, server: Served) -> None:
        self._workers = workers(server)
        self._port = server.port
        self._open: dict[int, deque[Line]] = {worker.pid: deque() for worker in self._workers}

    @property
    def pids(self) -> list[int]:
        return list(self._open)

    async def to(self, pid: int) -> Line:
        while not self._open[pid]:
            await self._more([await connected(self._port) for _ in range(16)])
        return self._open[pid].popleft()

    def close(self) -> None:
        for line in (line for some in self._open.values() for line in some):
            line.transport.close()

    async def _more(self, lines: list[Line]) -> None:
        """Who has each is known once it was accepted."""
        ports = {line.transport.get_extra_info("sockname")[1]: line for line in lines}

        def accepted() -> bool:
            for worker in self._workers:
                for each in worker.net_connections():
                    if each.raddr and each.raddr.port in ports:
                        self._open[worker.pid].append(ports.pop(each.raddr.port))
            return not ports

        await until(accepted)


ARRANGED: dict[str, tuple[Callable[[Speaker, Path], AbstractAsyncContextManager[Pair]], int]] = {
    "on the other worker of `--workers 2`, tapes in files": (two_workers, 7),
    "at another server with the same folder of tapes": (two_servers, 0),
    "at another server with the same Redis": (before_redis, 7 if PROGRAM else 0),
}


def rows() -> Iterator[Row]:
    for where, (arranged, in_suite) in ARRANGED.items():
        what = f"resumed, fetched, joined, cancelled, deleted {where}"
        yield Row("X4", what, TRIES, partial(_played, arranged), in_suite=in_suite)


def _played(arranged: Callable[[Speaker, Path], AbstractAsyncContextManager[Pair]], n: int) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_all(arranged, n, Path(folder)))


async def _all(
    arranged: Callable[[Speaker, Path], AbstractAsyncContextManager[Pair]], n: int, folder: Path
) -> list[Outcome]:
    """One after the other; which of the two writes takes turns."""
    speaker = Speaker(WORDS, pace=PACE)
    async with serve(upstream=speaker), arranged(speaker, folder) as pair:
        outcomes = []
        for number, action in zip(range(n), cycle(ACTIONS), strict=False):
            ways = Pair(*reversed(pair)) if number % 2 else pair
            outcomes.append(await action(Try(ways, speaker, number, Random(f"X4 {number}"))))
        return outcomes
