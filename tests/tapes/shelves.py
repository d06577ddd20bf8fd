"""Every kind of tapes as a machine of two processes that share them: started, killed at any moment, closed for good."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from riverrun.tapes.contract import Listener, OwnTape, Tapes
from riverrun.tapes.file import FileTapes
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.redis_link import Link
from riverrun.tapes.redis_reply import texts
from riverrun.tapes.redis_tapes import RedisTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests.redis import RedisServer
from tests.simulation.disk import SimulatedDisk
from tests.simulation.process import Process, ProcessLoop
from tests.tapes.reader import Ears
from tests.tapes.redis_timing import QUICK

T = TypeVar("T")

KEPT, GONE = 60.0, 10_000.0
RETENTION = Retention(KEPT, KEPT, KEPT, GONE)
PREFIXES = itertools.count()
MEMORY, DISK = 2000, 2**20
"""Bytes of events in memory, beyond which they spill; and in files."""


class Shelf:
    """Two processes, by their slots 0 and 1; for tapes that nobody shares the same one twice."""

    shared = True
    """Whether what one wrote outlives it."""
    tapes: list[Tapes]

    def loop(self) -> asyncio.AbstractEventLoop:
        return ProcessLoop()

    async def start(self, slot: int, heir: Heir) -> None:
        raise NotImplementedError

    async def at(self, slot: int, doing: Coroutine[Any, Any, T]) -> T:
        """Done by this process."""
        raise NotImplementedError

    async def kill(self, slot: int) -> None:
        raise NotImplementedError

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def close(self) -> list[str]:
        """What is left that should be gone."""
        raise NotImplementedError


class Heir:
    """Takes the tapes of the dead."""

    draining = False

    def __init__(self) -> None:
        self.adopted: list[OwnTape] = []
        self.ears: dict[str, Ears] = {}
        self.changed = asyncio.Event()

    def adopt(self, tape: OwnTape) -> Listener:
        self.adopted.append(tape)
        self.ears[tape.head.id] = Ears()
        self.changed.set()
        return self.ears[tape.head.id]


class InMemory(Shelf):
    shared = False

    def __init__(self) -> None:
        self.room = Room(MEMORY, DISK)
        self.tapes: list[Tapes] = []

    async def start(self, slot: int, heir: Heir) -> None:
        if slot == 0:
            self.tapes = [MemoryTapes(self.room, RETENTION)] * 2
            self._process = Process("memory")
            await self.at(0, self.tapes[0].open_for(heir))

    async def at(self, slot: int, doing: Coroutine[Any, Any, T]) -> T:
        return await self._process.run(doing)

    async def close(self) -> list[str]:
        await self.at(0, self.tapes[0].close())
        return [*_left(self.room), *map(repr, self._process.tasks), *map(repr, self._process.timers)]


class InFiles(Shelf):
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rr")
        self._rooms = [Room(MEMORY, DISK), Room(MEMORY, DISK)]
        self._disks = [SimulatedDisk(), SimulatedDisk()]
        self._starts = itertools.count()
        self._dead: list[Process] = []
        self._processes: dict[int, Process] = {}
        self.tapes: list[Tapes] = []

    async def start(self, slot: int, heir: Heir) -> None:
        root, sockets = Path(self._folder.name) / "tapes", Path(self._folder.name) / "s"
        number = next(self._starts)
        room, disk = Room(MEMORY, DISK), SimulatedDisk()
        now = asyncio.get_running_loop().time
        tapes = FileTapes(root, room, RETENTION, Random(number), now, disk=disk, sockets=sockets)
        self.tapes[slot : slot + 1] = [tapes]
        self._rooms[slot], self._disks[slot] = room, disk
        self._processes[slot] = Process(f"{number}")
        await self.at(slot, tapes.open_for(heir))

    async def at(self, slot: int, doing: Coroutine[Any, Any, T]) -> T:
        return await self._processes[slot].run(doing)

    async def kill(self, slot: int) -> None:
        self._processes[slot].kill()
        self._disks[slot].die()
        self._dead.append(self._processes[slot])

    async def close(self) -> list[str]:
        left: list[str] = []
        for slot, process in self._processes.items():
            if self._disks[slot].dead:
                continue
            await self.at(slot, self.tapes[slot].close())
            await asyncio.sleep(0.1)
            left += [*_left(self._rooms[slot]), *self._disks[slot].files_open.values(), *process.sockets]
            left += [*map(repr, process.tasks), *map(repr, process.timers)]
        for process in self._dead:
            await process.bury()
        self._folder.cleanup()
        return left


class InRedis(Shelf):
    """In a real Redis, and in real time. A process that was killed neither renews its lease nor says that it goes."""

    def __init__(self, server: RedisServer) -> None:
        self._prefix = f"machine{next(PREFIXES)}:"
        self._server = server
        self._rooms = [Room(MEMORY, DISK), Room(MEMORY, DISK)]
        self._redis: dict[int, RedisTapes] = {}
        self.tapes: list[Tapes] = []

    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop()

    async def start(self, slot: int, heir: Heir) -> None:
        self._rooms[slot] = room = Room(MEMORY, DISK)
        url = f"{self._server.url}?prefix={self._prefix}"
        self._redis[slot] = tapes = RedisTapes(url, room, RETENTION, Random(), time.time, None, QUICK)
        self.tapes[slot : slot + 1] = [tapes]
        await tapes.open_for(heir)

    async def at(self, slot: int, doing: Coroutine[Any, Any, T]) -> T:
        return await doing

    async def kill(self, slot: int) -> None:
        tapes = self._redis.pop(slot)
        for task in tapes._tasks:
            task.cancel()
        await asyncio.gather(*tapes._tasks, return_exceptions=True)
        await tapes._link.close()

    async def passes(self, seconds: float) -> None:
        """All that expires does so earlier, except what says who is alive."""
        link = Link(self._server.url)
        await asyncio.sleep(0.05)
        for key in texts(await link.ask("KEYS", f"{self._prefix}*")):
            left = await link.ask("PTTL", key)
            if isinstance(left, int) and left > 0 and not key.startswith((b"owner:", b"ear:"), len(self._prefix)):
                await link.ask("PEXPIRE", key, left - round(seconds * 1000))
        await link.close()

    async def close(self) -> list[str]:
        for tapes in self._redis.values():
            await tapes.close()
        gc.collect()  # a tape of others gives its room back when nobody has it any more
        return [each for slot in self._redis for each in _left(self._rooms[slot])]


def _left(room: Room) -> list[str]:
    """V9."""
    return [f"{room.used} bytes, {room.spilled} spilled, {room.tapes} tapes"] if room.used or room.tapes else []
