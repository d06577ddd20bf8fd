"""Plays a plan: replicas, upstreams and clients in one loop whose time is made up. The same plan goes the same way."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from zlib import crc32

import msgspec

from riverrun.store.contract import Attempted, Settled
from riverrun.tapes.file import LOOK
from tests.simulation.client import Live, Seen, exchange, read
from tests.simulation.kept import Kept, kept
from tests.simulation.plan import TENANTS, Asked, Fault, Leaving, Plan, Step
from tests.simulation.process import ProcessLoop
from tests.simulation.replica import RETENTION, Replica, body, headers
from tests.simulation.script import Call, Scripted, prompt
from tests.upstreams import serve

PATH = "/v1/chat/completions"
LONGEST = 300.0
"""Seconds after which a client that still waits, or a run that still goes, waits for ever."""

OTHER = 100
"""Added to a request's number for another body with its key."""

MEMORY = Path("/dev/shm")


class Played(msgspec.Struct):
    """What came of a world."""

    plan: Plan
    trace: list[str] = []
    """What happened, in order."""
    seen: list[Seen] = []
    calls: list[Call] = []
    tapes: dict[str, Kept] = {}
    """Every tape that there was, with the most that was on it."""
    deleted: dict[str, float] = {}
    killed: list[float] = []
    """When replicas were killed."""
    attempts: list[Attempted] = []
    settled: list[Settled] = []
    faults: list[str] = []
    """What is wrong whatever else was seen: hangs, things left behind, errors in the log."""


def played(plan: Plan) -> Played:
    """Plays it in a folder of its own."""
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="rr", dir=where) as folder, _logged() as lines:
        with asyncio.Runner(loop_factory=ProcessLoop) as runner:
            world = runner.run(_play(plan, Path(folder), lines))
        return world


async def _play(plan: Plan, folder: Path, lines: list[str]) -> Played:
    async with AsyncExitStack() as stack:
        world = World(plan, folder, lines)
        for upstream in world.upstreams:
            await stack.enter_async_context(serve(upstream=upstream))
        await world.live()
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ProcessLoop)
    world.told.faults += [f"the loop was told: {fault}" for fault in loop.faults]
    await world.bury()
    return world.told


class World:
    """`lines` are those of the servers' log: an error there is a fault of ours."""

    def __init__(self, plan: Plan, folder: Path, lines: list[str]) -> None:
        self.told = Played(plan)
        self._plan = plan
        self._folder = folder
        self._lines = lines
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._live: list[Live] = []
        self.upstreams = [Scripted(number, side, self._time, self.told.calls) for number, side in enumerate(plan.sides)]
        self.replicas: list[Replica] = []

    async def live(self) -> None:
        targets = [upstream.target() for upstream in self.upstreams]
        self.replicas = [Replica(number, self._plan, targets, self._folder) for number in range(self._plan.replicas)]
        for replica in self.replicas:
            await replica.start()
        keeping = asyncio.create_task(self._keep_on())
        await self._over([*map(self._do, self._plan.steps), *map(self._fail, self._plan.faults)])
        for replica in self.replicas:
            if replica.process is None:
                await replica.start()
        await self._settle()
        await self._over([self._look_back(number, each) for number, each in enumerate(list(self.told.tapes.values()))])
        for replica in self.replicas:
            self.told.faults += [f"V9 left behind: {each}" for each in await replica.stop()]
        self._note("the end")
        keeping.cancel()
        self._keep()
        self._read_ledger()
        self.told.faults += [f"the log has an error: {line}" for line in self._lines]

    async def bury(self) -> None:
        for replica in self.replicas:
            await replica.bury()

    # What happens

    async def _do(self, step: Step) -> None:
        await asyncio.sleep(step.at)
        asked = self._plan.asked[step.asked]
        if step.verb in ("post", "again", "retry", "other body"):
            number = asked.number + OTHER * (step.verb == "other body")
            await self._post(step, asked, asked.tenant, number)
        elif step.verb == "list":
            await self._ask(step, asked, asked.tenant, "GET", f"{PATH}?limit=5")
        else:
            await self._come_back(step, asked)

    async def _post(self, step: Step, asked: Asked, tenant: str, number: int, after: int | None = None) -> None:
        parameters: dict[str, object] = {"stream": asked.stream, "store": asked.store}
        if asked.stream and asked.usage:
            parameters["stream_options"] = {"include_usage": True}
        text = prompt(number, tenant, asked.words)
        named = {"idempotency_key": asked.key, "x_riverrun_on_disconnect": asked.policy}
        if step.verb == "retry":  # as an SDK does it by itself
            named = {"x_riverrun_on_disconnect": asked.policy, "x_stainless_retry_count": "1"}
        cursor = {"last_event_id": str(after)} if after is not None else {}
        await self._ask(
            step, asked, tenant, "POST", PATH, text, body(text, **parameters), after or 0, **named, **cursor
        )

    async def _come_back(self, step: Step, asked: Asked) -> None:
        """To an answer that somebody has begun to read."""
        known = self._known(asked)
        verb, tenant = step.verb, asked.tenant
        if verb == "foreign":
            verb, tenant = step.as_, next(each for each in TENANTS if each != tenant)  # type: ignore[assignment]
        if verb == "again":
            await self._post(step, asked, tenant, asked.number)
        elif known is None:
            self._note(f"{_name(step)}: nobody knows its id")
        elif verb == "resume":
            after = round(step.part * max((number for number, _ in known.events), default=0))
            if asked.key and asked.stream and step.part == 0.5:
                await self._post(step, asked, tenant, asked.number, after)
            else:
                place = f"{PATH}/{known.id}?stream=true"
                await self._ask(step, asked, tenant, "GET", place, after=after, last_event_id=str(after))
        elif verb == "get":
            await self._ask(step, asked, tenant, "GET", f"{PATH}/{known.id}")
        elif verb == "cancel":
            await self._ask(step, asked, tenant, "POST", f"{PATH}/{known.id}/cancel")
        elif verb == "delete":
            if tenant == asked.tenant:
                self.told.deleted.setdefault(known.id, self._time())
            await self._ask(step, asked, tenant, "DELETE", f"{PATH}/{known.id}")

    async def _look_back(self, number: int, tape: Kept) -> None:
        """Whatever is still kept is read once more, from its beginning."""
        asked = Asked(-1, tape.head.tenant, 0, True)
        replica = number % len(self.replicas)
        step = Step(0.0, "resume", -1, replica, Leaving(), 0.0)
        await self._ask(step, asked, tape.head.tenant, "GET", f"{PATH}/{tape.head.id}?stream=true", tape.asked)

    async def _ask(
        self,
        step: Step,
        asked: Asked,
        tenant: str,
        method: str,
        path: str,
        text: str = "",
        request: bytes = b"",
        after: int = 0,
        **named: str,
    ) -> None:
        text = text or prompt(asked.number, asked.tenant, asked.words)
        replica = self._alive(step.replica)
        seen = Seen(_name(step), tenant, text, f"{method} {path}", request, after, self._time())
        self.told.seen.append(seen)
        self._note(f"{seen.name}: {tenant} asks {replica.number}: {seen.line} {request.decode()} {named}")
        await exchange(replica.port, seen, headers(tenant, **named), step.leaving, self._live)
        seen.until = self._time()
        numbers = [number for number, _ in seen.events]
        span = f"events {numbers[0]}-{numbers[-1]}" if numbers else f"{len(seen.body)} bytes"
        self._note(f"{seen.name}: {seen.status} {span} {crc32(seen.body):08x}, {seen.ended}")
        self._keep()

    async def _fail(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at)
        replica = self.replicas[fault.replica]
        if replica.process is None:
            return
        self._note(f"replica {fault.replica}: {fault.what} for {fault.seconds} s")
        if fault.what == "full":
            disk = replica.disk
            disk.full = True
            await asyncio.sleep(fault.seconds)
            disk.full = False
            self._note(f"replica {fault.replica}: there is room on the disk")
            return
        self._keep()
        if fault.what == "kill":
            self.told.killed.append(self._time())
            replica.kill()
        else:
            self.told.faults += [f"V9 left behind: {each}" for each in await replica.stop()]
        await asyncio.sleep(fault.seconds)
        await replica.start()
        self._note(f"replica {fault.replica}: started again")

    async def _over(self, doings: list[Coroutine[None, None, None]]) -> None:
        """Until all of them have happened."""
        tasks = [asyncio.ensure_future(each) for each in doings]
        if not tasks:
            return
        _, left = await asyncio.wait(tasks, timeout=LONGEST)
        self.told.faults += [f"hangs: {live.seen.name} {live.seen.line}" for live in self._live if left]
        for task in left:
            task.cancel()
        for task in tasks:
            if task not in left:
                task.result()

    async def _settle(self) -> None:
        """Until nothing runs; what dead owners and full disks left unfinished needs a moment to be found."""
        await asyncio.sleep(2 * LOOK + 0.5)
        async with asyncio.timeout(LONGEST):
            while any(replica.runs.running for replica in self.replicas):
                await asyncio.sleep(1.0)
        self._note("nothing runs any more")
        self._keep()

    # What is known of it

    def _time(self) -> float:
        return self._loop.time() - self._began

    def _note(self, words: str) -> None:
        self.told.trace.append(f"{self._time():9.4f} {words}")

    def _alive(self, number: int) -> Replica:
        """This replica, or the next one that lives."""
        order = self.replicas[number:] + self.replicas[:number]
        return next((each for each in order if each.process is not None), order[0])

    def _known(self, asked: Asked) -> Seen | None:
        """Who has read the most of its newest answer, now."""
        for live in self._live:
            read(live.client.raw, live.seen)
        text = prompt(asked.number, asked.tenant, asked.words)
        found = [seen for seen in self.told.seen if seen.asked == text and seen.tenant == asked.tenant and seen.id]
        return max((each for each in found if each.id == found[-1].id), key=lambda each: len(each.events), default=None)

    def _keep(self) -> None:
        """Notes what is on the tapes. What was there once must still be."""
        for id, tape in kept(self._folder, self.replicas).items():
            before = self.told.tapes.get(id, tape)
            if not tape.data.startswith(before.data):
                self.told.faults.append(f"V3 {id}: what was on the tape has changed")
            self.told.tapes[id] = tape

    async def _keep_on(self) -> None:
        """So that nothing ends and expires unseen."""
        while True:
            await asyncio.sleep(RETENTION.ended / 3)
            self._keep()

    def _read_ledger(self) -> None:
        with sqlite3.connect(self._folder / "ledger.sqlite") as db:
            self.told.attempts = [Attempted(*row) for row in db.execute("SELECT * FROM call ORDER BY id, number")]
            columns = ", ".join(Settled.__struct_fields__)
            self.told.settled = [
                Settled(*row) for row in db.execute(f"SELECT {columns} FROM ended ORDER BY id, number")
            ]
        db.close()


def _name(step: Step) -> str:
    return " ".join([step.verb, *filter(None, [step.as_]), f"{step.asked}@{step.replica}"])


@contextmanager
def _logged() -> Iterator[list[str]]:
    """The errors that the servers log meanwhile."""
    lines: list[str] = []

    class Errors(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    log = logging.getLogger("riverrun")
    handler = Errors(logging.ERROR)
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    log.propagate = False
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]
