"""One local model as requests see it: asleep, loading, answering, or giving way to another model."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from riverrun.engine.residency import Residency
from riverrun.engine.settings import ChildSettings, Ready
from riverrun.engine.slots import Bounds, Permit, Slots
from riverrun.engine.supervisor import Supervisor
from riverrun.failures import Cause, Failure

DOUBT_SECONDS = 0.5


class Status(msgspec.Struct, frozen=True):
    """How a model stands, for /health and the page. `slots` is how many answers it can give at once."""

    name: str
    state: Literal["stopped", "loading", "ready", "failed"]
    pid: int | None
    busy: int
    slots: int
    waiting: int
    failure: str | None


class Host:
    """Joins a model's process (Supervisor), its queue (Slots) and its place in memory (Residency)."""

    def __init__(self, settings: ChildSettings, bounds: Bounds, residency: Residency, idle_stop: float | None) -> None:
        self._settings = settings
        self._residency = residency
        self._idle_stop = idle_stop
        self._slots = Slots(settings.name, bounds, self._became_idle)
        self._supervisor = Supervisor(settings, self)
        self._giving_way = self._closed = False
        self._sleep_timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self.ready: Ready | None = None

    @property
    def idle(self) -> bool:
        return not self._slots.busy and not self._slots.waiting

    @property
    def status(self) -> Status:
        supervisor, slots = self._supervisor, self._slots
        why = failure.message if (failure := supervisor.failure) is not None else None
        total = self.ready.slots if self.ready is not None else self._settings.slots
        return Status(self._settings.name, supervisor.state, supervisor.pid, slots.busy, total, slots.waiting, why)

    async def enter_queue(self, caller: str, ask: str) -> tuple[Permit, Ready]:
        """A slot, and what the model can do. Wakes the model first if it sleeps. Raises Failure."""
        self._cancel_sleep()
        failure = self._supervisor.failure
        if failure is not None and self._supervisor.resting:
            raise failure
        self._residency.want(self)
        try:
            permit = await self._slots.acquire(caller, ask)
        finally:
            self._nobody_waits()
        assert self.ready is not None
        return permit, self.ready

    def doubt(self) -> None:
        """A connection to the engine broke. If it died that is known in a moment; until then nobody is sent to it."""
        if self._supervisor.state == "ready":
            self._slots.patient = True
            self._slots.open(0)
            asyncio.get_running_loop().call_later(DOUBT_SECONDS, self._reassured, self.ready)

    def _reassured(self, ready: Ready | None) -> None:
        if ready is not None and ready is self.ready and self._supervisor.state == "ready":
            self.up(ready)

    async def close(self) -> None:
        """Ends the model's process, whoever uses it."""
        self._closed = True
        self._cancel_sleep()
        self._slots.open(0)
        self._slots.refuse_all(Failure(Cause.OVERLOADED, "The server is shutting down.", retry_after=1.0))
        if self._leaving is not None:
            await asyncio.wait([self._leaving])
        await self._supervisor.stop()

    # What the residency says.

    def enter(self) -> None:
        if self._closed:
            return
        self._slots.patient = True
        self._supervisor.start()

    def give_way(self) -> None:
        self._giving_way = True
        if self.idle or self._supervisor.state != "loading":
            self._slots.open(0)
            self._leave_when_idle()

    # What the supervisor says.

    def up(self, ready: Ready) -> None:
        self.ready = ready
        self._slots.patient = False
        self._slots.open(ready.slots)
        if self._giving_way:
            self._slots.open(0)
            self._leave_when_idle()
        elif self.idle:
            self._became_idle()

    def down(self) -> None:
        self._slots.patient = True
        self._slots.open(0)

    def failed(self, failure: Failure) -> None:
        self._slots.patient = False
        self._slots.refuse_all(failure)
        self._leave()

    # Out of memory: after the last answer when others wait, or after a time without any.

    def _became_idle(self) -> None:
        if self._giving_way:
            self._leave_when_idle()
        elif self._idle_stop is not None and self.idle:
            self._cancel_sleep()
            self._sleep_timer = asyncio.get_running_loop().call_later(self._idle_stop, self._fall_asleep)

    def _fall_asleep(self) -> None:
        if self.idle:
            self._leave()

    def _leave_when_idle(self) -> None:
        if not self._slots.busy:
            self._leave()

    def _leave(self) -> None:
        self._slots.open(0)
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave_memory())

    async def _leave_memory(self) -> None:
        await self._supervisor.stop()
        self._giving_way, self._leaving = False, None
        self._residency.left(self)
        if self._slots.waiting:
            self._residency.want(self)

    def _nobody_waits(self) -> None:
        if self.idle:
            self._residency.forget(self)

    def _cancel_sleep(self) -> None:
        if self._sleep_timer is not None:
            self._sleep_timer.cancel()
            self._sleep_timer = None
