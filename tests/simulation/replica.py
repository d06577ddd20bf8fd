"""One replica: the real application and host as a process of the simulated machine, started, killed and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

from riverrun.backends.upstream import Upstream
from riverrun.config import ServerConfig
from riverrun.config.values import digest
from riverrun.routing.model import Model, Weighted
from riverrun.routing.table import Table
from riverrun.routing.target import Target
from riverrun.runs.books import Books
from riverrun.runs.intent import Habits
from riverrun.runs.labels import Labels
from riverrun.runs.metrics import Metrics
from riverrun.runs.runs import Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.server.app import App
from riverrun.server.build import chat_routes
from riverrun.server.chat import Chat
from riverrun.server.guard import Guard, Keys
from riverrun.server.host import Host
from riverrun.server.limits import HostLimits
from riverrun.server.sockets import Listen
from riverrun.store.ledger import SqliteLedger
from riverrun.tapes.contract import Head, Listener, Taken, Tapes
from riverrun.tapes.file import FileTapes
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.own import Own
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests.faults.scene import DIALECT
from tests.simulation.disk import SimulatedDisk
from tests.simulation.plan import TENANTS, Plan
from tests.simulation.process import Process

HOST = "127.0.0.1"
FIRST_PORT = 8000
RETENTION = Retention(ended=40.0, keyed=60.0, stored=200.0, gone=60.0)
GONE_AFTER = RETENTION.ended
"""Seconds after which an answer may be gone."""
GRACE = 8.0
CONFIG = ServerConfig(commit_after=2.0, heartbeat=1.0)
LIMITS = HostLimits(linger=0.2, buffer=1500)
DRAIN = 1.0
KEYS = {digest(f"sk-{tenant}"): tenant for tenant in TENANTS}
TABLE = Table((), {}, lambda name: None)
TORN = b"B\x00\x00\x00\x40"
"""The beginning of a record whose writer died in it."""
UNIX = 1_700_000_000.0
"""What the clocks on the wall say when the loop's says 0."""


class Address:
    """A bound socket that no kernel has."""

    def __init__(self, port: int) -> None:
        self._port = port

    def getsockname(self) -> tuple[str, int]:
        return HOST, self._port

    def close(self) -> None:
        """There is nothing to let go of."""


class Remembering(MemoryTapes):
    """Tapes in memory forget requests that nobody reads again; the checks read them."""

    def __init__(self, room: Room, retention: Retention) -> None:
        super().__init__(room, retention)
        self.requests: dict[str, msgspec.Raw] = {}

    async def create(self, head: Head, listener: Listener) -> Own | Taken:
        self.requests[head.id] = head.request
        return await super().create(head, listener)


class Replica:
    """`folder` is the machine's, which all its processes share."""

    def __init__(self, number: int, plan: Plan, targets: list[Target], folder: Path) -> None:
        self.number = number
        self.port = FIRST_PORT + number
        self.disk = SimulatedDisk()
        self.room = Room(2**20, 2**20)
        self.process: Process | None = None
        """While it lives."""
        self.dead: list[Process] = []
        self.tapes: Tapes
        self.runs: Runs
        self._plan = plan
        self._folder = folder
        self._starts = 0
        self._rooms: list[Room] = []
        self._model = Model("it", tuple((Weighted(target),) for target in targets), retries=plan.retries)

    async def start(self) -> None:
        self._starts += 1
        self.process = Process(f"replica-{self.number}.{self._starts}")
        await self.process.run(self._start(Random(f"{self._plan.seed} {self.process.name}")))

    async def bury(self) -> None:
        """After the end of the world."""
        for process in self.dead:
            await process.bury()
        for room in self._rooms:
            for blocks in list(room._blocks):
                blocks.drop()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.disk.die(TORN)
        self.dead.append(self.process)
        self.process = None

    async def stop(self) -> list[str]:
        """As SIGTERM. Returns what is left of it that should be gone."""
        process = self.process
        assert process is not None
        self.process = None
        self.dead.append(process)
        await process.run(self._host.stop(DRAIN))
        await asyncio.sleep(LIMITS.linger + 0.01)  # refused connections are closed after it
        left = [f"task {task!r}" for task in process.tasks]
        left += [f"timer {timer!r}" for timer in process.timers]
        left += [f"socket {each}" for each in process.sockets]
        left += [f"file {name}" for name in self.disk.files_open.values()]
        if self.room.used or self.room.spilled or self.room.tapes:
            left.append(f"room: {self.room.used} bytes, {self.room.spilled} spilled, {self.room.tapes} tapes")
        return [f"{process.name}: {each}" for each in left]

    async def _start(self, random: Random) -> None:
        now = clock()
        self.disk, self.room = SimulatedDisk(), Room(self._plan.room, 2**20, str(self._folder))
        self._rooms.append(self.room)
        self.tapes = tapes = self._tapes(random, now)
        ledger = SqliteLedger(self._folder / "ledger.sqlite")
        client = Upstream({"openai": DIALECT}, now=now, environ={}, random=random)
        habits = Habits(grace=GRACE, join_retries=self._plan.net)
        books = Books(ledger, Metrics(Labels(lambda: TABLE)), now)
        self.runs = runs = Runs(self._found, Upstreams({"": client}), random, now, tapes, books, habits)

        @asynccontextmanager
        async def life() -> AsyncIterator[None]:
            """As `build` has it."""
            try:
                await tapes.open_for(runs)
                yield
            finally:
                await runs.close()
                ledger.close()
                client.close()

        def drain() -> None:
            runs.draining = True

        guard = Guard(loopback=True, keys=Keys(KEYS))
        app = App(chat_routes(Chat(runs, CONFIG), tapes), guard, random, life, drain, runs.interrupt)
        listen = Listen(HOST, self.port)
        self._host = Host(app, listen, LIMITS, [Address(self.port)])  # type: ignore[list-item]  # as far as it is used
        await self._host.start()

    def _tapes(self, random: Random, now: Callable[[], float]) -> Tapes:
        if self._plan.tapes == "memory":
            return Remembering(self.room, RETENTION)
        folder, sockets = self._folder / "tapes", self._folder / "s"
        return FileTapes(folder, self.room, RETENTION, random, now, disk=self.disk, sockets=sockets)

    def _found(self, name: str) -> Model | None:
        return self._model if name == "it" else None


def clock() -> Callable[[], float]:
    """Unix seconds, by the running loop."""
    loop = asyncio.get_running_loop()
    return lambda: UNIX + loop.time()


def headers(tenant: str, **more: str) -> list[tuple[str, str]]:
    """What every request of this tenant says."""
    named = [(name.replace("_", "-"), value) for name, value in more.items() if value]
    return [("host", HOST), ("authorization", f"Bearer sk-{tenant}"), ("connection", "close"), *named]


def body(asked: str, **parameters: object) -> bytes:
    messages = [{"role": "user", "content": asked}]
    return msgspec.json.encode({"model": "it", "messages": messages, **parameters})
