"""All workers of one server: each place is filled for as long as the server runs, and they change as one.

Knows processes and configurations; what a worker does is its own business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from riverrun.config import Config
from riverrun.failures import Cause, Failure
from riverrun.server.sockets import HostError
from riverrun.server.status import Overview, Standing, TargetStanding
from riverrun.server.workers.line import LineLost
from riverrun.server.workers.member import Member
from riverrun.server.workers.messages import Judge, Look, Message, Take, Verdict

log = logging.getLogger("riverrun.server")

STEADY = 10.0
"""Seconds after which a worker's death is no sign that the next one dies as well."""

PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the next start, by the number of quick deaths before it. Connections wait in the dead one's socket."""

LOOK_TIME = 1.0
"""Seconds that a worker has to say how it stands; a busy one is left out."""

KILL_TIME = 30.0
"""Seconds beyond the drain after which a worker that still lives is killed: it has a few to tell its readers, and ten
for its own end."""

WORST = ("open", "half-open", "closed")
"""States of a breaker, of which a server shows the worst that a worker has."""


class Crew:
    """`begin(number, config)` starts the worker of that place. `died` is told the process id of each that ended."""

    def __init__(
        self, count: int, config: Config, begin: Callable[[int, Config], Awaitable[Member]], died: Callable[[int], None]
    ) -> None:
        self.config = config
        self._begin = begin
        self._died = died
        self._members: dict[int, Member] = {}
        self._up: list[asyncio.Future[None]] = []
        self._count = count
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Returns when all take requests. Raises HostError with the reason of the first that can't."""
        loop = asyncio.get_running_loop()
        self._up = [loop.create_future() for _ in range(self._count)]
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self._count)]
        for up in self._up:
            await asyncio.wait((up, *self._keepers), return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()

    async def broken(self) -> None:
        """Returns when a place is not filled any more; raises what went wrong."""
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        for keeper in done:
            keeper.result()

    async def stop(self, drain: float) -> None:
        """Ends all after their running answers, which take at most `drain` seconds."""
        self._stopping.set()
        for member in self._members.values():
            member.stop()
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=drain + KILL_TIME)
            for member in self._members.values():
                member.kill()
            if late:
                log.error("%d workers did not end and were killed", len(late))
                await asyncio.wait(late)

    def hurry(self) -> None:
        """Ends a drain at once."""
        for member in self._members.values():
            member.stop(at_once=True)

    async def overview(self, own: Overview) -> Overview:
        """`own` knows the engine; what runs, and how upstreams stand, the workers know."""
        told = await asyncio.gather(*(self._look(member) for member in self._ready()))
        seen = [each for each in told if each is not None]
        return Overview(sum(each.running for each in seen), own.engines, merged(own.models, seen))

    async def take_over(self, config: Config) -> None:
        """Every worker takes the configuration over, or none does. Raises Failure: none did."""
        async with self._changing:
            asked = self._ready()
            for verdict in await asyncio.gather(*(self._judged(member, config) for member in asked)):
                if verdict is not None:
                    raise Failure(Cause.BAD_REQUEST, verdict)
            self.config = config
            await asyncio.gather(*(self._taken(member, config) for member in asked))

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        quick = 0
        while not self._stopping.is_set():
            began = loop.time()
            ended = await self._one(number)
            quick = 0 if loop.time() - began >= STEADY else quick + 1
            if self._stopping.is_set():
                return
            log.error("worker %d %s; another one is started", number, ended)
            await self._rest(PAUSES[min(quick, len(PAUSES)) - 1] if quick else 0.0)

    async def _one(self, number: int) -> str:
        """One worker from its start to its end; how it ended. Raises HostError where the very first could not start."""
        first = not self._up[number].done()
        try:
            member = self._members[number] = await self._begin(number, self.config)
        except OSError as error:
            if first:
                raise HostError(f"Can't start a worker: {error.strerror or error}.") from None
            return f"could not be started ({error.strerror or error})"
        if self._stopping.is_set():
            member.stop()
        try:
            await member.listening()
            async with self._changing:
                await self._current(member)
            if not self._up[number].done():
                self._up[number].set_result(None)
        except HostError as error:
            if first and not self._stopping.is_set():
                raise
            if not self._stopping.is_set():
                log.error("%s", error)
        ended = await member.gone()
        del self._members[number]
        self._died(member.pid)
        return f"(process {member.pid}) ended by {ended}"

    async def _current(self, member: Member) -> None:
        """The configuration changed while it started."""
        if member.config == self.config:
            return
        refused = await self._judged(member, self.config)
        if refused is None:
            await self._taken(member, self.config)
        else:
            log.error("worker %d has to begin anew: %s", member.number, refused)
            member.kill()

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _judged(self, member: Member, config: Config) -> str | None:
        """Why it can't take it over. One that is gone will begin with what holds then."""
        try:
            verdict = await member.line.ask(Judge(config))
        except LineLost as lost:
            return f"Worker {member.number} can't be asked: {lost}." if member.line.open else None
        assert isinstance(verdict, Verdict)
        return verdict.refused

    async def _taken(self, member: Member, config: Config) -> None:
        try:
            await member.line.ask(Take())
            member.config = config
        except LineLost:
            member.kill()  # the next one in its place begins with what holds now

    async def _look(self, member: Member) -> Overview | None:
        try:
            told: Message = await member.line.ask(Look(), LOOK_TIME)
        except LineLost:
            return None
        return told if isinstance(told, Overview) else None

    def _ready(self) -> list[Member]:
        return [member for member in self._members.values() if member.up]


def merged(models: Iterable[Standing], workers: Iterable[Overview]) -> list[Standing]:
    """The models with the worst state that a worker knows of each target."""
    states: dict[tuple[str, str], set[str]] = {}
    for model in (model for worker in workers for model in worker.models):
        for each in model.targets:
            states.setdefault((model.name, each.target), set()).add(each.state)

    def target(model: Standing, each: TargetStanding) -> TargetStanding:
        return _worst(each, states.get((model.name, each.target), set()))

    return [Standing(model.name, model.alias_of, [target(model, each) for each in model.targets]) for model in models]


def _worst(target: TargetStanding, states: set[str]) -> TargetStanding:
    if target.state not in WORST:
        return target
    worst = next((state for state in WORST if state in states), target.state)
    return TargetStanding(target.target, target.tier, worst, target.after)
