"""Owners die, or are stopped and come back: another goes on, nothing that was seen is lost, and no two write."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Listener, OwnTape, Taken
from riverrun.tapes.redis_entries import entries
from riverrun.tapes.redis_link import Link
from riverrun.tapes.redis_tapes import RedisTapes
from tests.redis import RedisServer, needs_redis, redis_server
from tests.tapes.contract import Nobody, expected, opened, own
from tests.tapes.reader import ANSWER, PATIENCE, Ears, Reader, head
from tests.tapes.redis_timing import tapes_at

pytestmark = needs_redis

TAPES = 8


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


class Heir:
    """Adopts each tape once, says a few words more, and ends it well."""

    draining = False

    def __init__(self) -> None:
        self.adopted: dict[str, int] = {}  # id to the number of its last event then
        self.ears = Ears()
        self._changed = asyncio.Event()

    def adopt(self, tape: OwnTape) -> Listener:
        assert tape.head.id not in self.adopted
        assert tape.epoch > 1
        self.adopted[tape.head.id] = tape.written
        tape.append([b'{"n":%d,"by":"heir"}' % number for number in range(tape.written + 1, tape.written + 4)])
        tape.close(Finished(), None)
        self._changed.set()
        return self.ears

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.adopted) < count:
                self._changed.clear()
                await self._changed.wait()


class Owner:
    """The other process, and what its followers were given."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.over: dict[str, str] = {}

    async def read_until(self, tapes: int, events: int) -> None:
        """Until followers of so many tapes were given so many events, or told that there are no more."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while sum(len(seen) >= events or id in self.over for id, seen in self.seen.items()) < tapes:
                line = await self.process.stdout.readline()
                assert line
                self._take(line)

    async def read_all(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := await self.process.stdout.readline():
                if line.endswith(b"\n"):
                    self._take(line)
            await self.process.wait()

    def _take(self, line: bytes) -> None:
        id, number, rest = line.decode().rstrip("\n").split(" ", 2)
        if number.isdecimal():
            self.seen[id].append(rest)
            assert len(self.seen[id]) == int(number)
        else:
            self.over[id] = f"{number} {rest}"


@asynccontextmanager
async def owner(url: str, tapes: int) -> AsyncIterator[Owner]:
    words = (sys.executable, "-m", "tests.tapes.redis_owner", url, str(tapes))
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    try:
        yield Owner(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def replicas(url: str, heir: Heir, count: int) -> AsyncIterator[list[RedisTapes]]:
    """Several that all want what a dead owner leaves; `heir` is whoever gets it."""
    made = [tapes_at(url) for _ in range(count)]
    try:
        for tapes in made:
            await tapes.open_for(heir)
        yield made
    finally:
        for tapes in made:
            await tapes.close()


async def _judge(tapes: RedisTapes, id: str, seen: list[str], heir: Heir) -> None:
    """The tape has all that was seen, goes on where the heir found it, and ends once."""
    reader = Reader().on(await opened(tapes, id))
    await reader.done()
    found = heir.adopted[id]
    assert found >= len(seen)
    payloads = [b'{"n":%d,"by":"owner"}' % number for number in range(1, found + 1)]
    payloads += [b'{"n":%d,"by":"heir"}' % number for number in range(found + 1, found + 4)]
    assert reader.bytes == expected(payloads)
    assert [payload.encode() for payload in seen] == payloads[: len(seen)]
    assert reader.endings == [Finished()]


async def _kill(url: str, seed: int) -> None:
    random = Random(seed)
    heir = Heir()
    async with replicas(url, heir, 2) as both, owner(url, TAPES) as it:
        await it.read_until(TAPES, random.randint(1, 60))
        followed = [Reader().on(await opened(both[0], f"chatcmpl-{number}")) for number in range(TAPES)]
        it.process.send_signal(signal.SIGKILL)
        await it.read_all()
        await heir.until(TAPES)
        for id, seen in it.seen.items():
            for tapes in both:
                await _judge(tapes, id, seen, heir)
        for reader in followed:
            await reader.done()
            assert reader.endings == [Finished()]


@pytest.mark.parametrize("seed", range(3))
def test_an_owner_is_killed_at_any_moment(server: RedisServer, seed: int) -> None:
    asyncio.run(_kill(server.tcp, seed))


async def _stop(url: str) -> None:
    heir = Heir()
    async with replicas(url, heir, 1) as [tapes], owner(url, TAPES) as it:
        await it.read_until(TAPES, 20)
        it.process.send_signal(signal.SIGSTOP)
        await heir.until(TAPES)
        it.process.send_signal(signal.SIGCONT)
        await it.read_all()
        assert it.over == {f"chatcmpl-{number}": "broke storage_unavailable" for number in range(TAPES)}
        link = Link(url)
        for id, seen in it.seen.items():
            await _judge(tapes, id, seen, heir)
            epochs = [entry.id.epoch for entry in entries(await link.ask("XRANGE", f"riverrun:tape:{id}", "-", "+"))]
            assert epochs == sorted(epochs)
            assert set(epochs) == {1, 2}
        await link.close()


def test_a_stopped_owner_that_comes_back_writes_nothing(server: RedisServer) -> None:
    asyncio.run(_stop(server.tcp))


async def _leave(url: str) -> None:
    heir = Heir()
    async with replicas(url, heir, 1) as [tapes]:
        leaving = tapes_at(url)
        await leaving.open_for(Nobody())
        tape = await own(leaving)
        tape.append([b'{"n":1,"by":"owner"}'])
        here, there = Reader().on(tape), Reader().on(await opened(tapes))
        await there.until(1)
        await leaving.close()
        await here.done()
        assert [failure.status for failure in here.failures] == [503]
        await heir.until(1)
        await there.done()
        assert there.endings == [Finished()]
        await _judge(tapes, "chatcmpl-1", ['{"n":1,"by":"owner"}'], heir)


def test_an_owner_that_closes_leaves_its_tapes_to_others(server: RedisServer) -> None:
    asyncio.run(_leave(server.url))


async def _reader_dies(url: str) -> None:
    tapes, ears = tapes_at(url), Ears()
    tape = await own(tapes, listener=ears)
    async with replicas(url, Heir(), 1) as [other]:
        Reader().on(await opened(other))
        await ears.until("joined")
        for task in other._tasks:  # it neither renews its lease nor says that it goes
            task.cancel()
        await asyncio.gather(*other._tasks, return_exceptions=True)
        await ears.until("left")
    tape.append(ANSWER)
    await tapes.close()


def test_the_readers_of_a_dead_process_have_left(server: RedisServer) -> None:
    asyncio.run(_reader_dies(server.url))


async def _race(url: str) -> None:
    three = [tapes_at(url) for _ in range(3)]
    for round in range(200):
        key = f"{round:064x}"
        asked = (
            tapes.create(head(f"chatcmpl-{round}-{at}", key=key, digest="d"), Ears()) for at, tapes in enumerate(three)
        )
        made = await asyncio.gather(*asked)
        won = [each.head.id for each in made if not isinstance(each, Taken)]
        assert len(won) == 1
        assert [each for each in made if isinstance(each, Taken)] == [Taken(won[0], "d")] * 2
    for tapes in three:
        await tapes.close()


def test_one_key_is_won_once(server: RedisServer) -> None:
    asyncio.run(_race(server.tcp))
