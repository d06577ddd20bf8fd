"""Who may generate next: a bounded, fair queue for a model's slots. Knows nothing of models or processes.

Callers take turns, whatever the length of their queues. Branches of one ask count as one in the queue, and once one of
them runs, the others wait as long as they must: an answer that has begun is not refused half-way. One that was cut,
because the engine died under it, goes before all others when it comes back.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from functools import partial

import msgspec

from riverrun.failures import Cause, Failure

MOST_CUT = 64
"""Asks that are remembered as cut: as many as there may be slots."""


class Bounds(msgspec.Struct, frozen=True):
    """`queue` asks may wait, each for `wait` seconds."""

    queue: int = 64
    wait: float = 30.0


class Permit:
    """The right to use one slot, until `release`, which may be called more than once."""

    def __init__(self, release: Callable[[bool], None]) -> None:
        self._release: Callable[[bool], None] | None = release

    def release(self, cut: bool = False) -> None:
        """`cut`: the answer was not complete, and may be asked for again."""
        release, self._release = self._release, None
        if release is not None:
            release(cut)


class _Waiter:
    def __init__(self, caller: str, ask: str, future: asyncio.Future[Permit]) -> None:
        self.caller = caller
        self.ask = ask
        self.future = future
        self.timer: asyncio.TimerHandle | None = None


class Slots:
    """The slots of one model. `capacity` is 0 while nothing can run; `patient` stops the clocks of those who wait."""

    def __init__(self, name: str, bounds: Bounds, idle: Callable[[], None] = lambda: None) -> None:
        self._name = name
        self._bounds = bounds
        self._idle = idle
        self._queues: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._cut: deque[str] = deque(maxlen=MOST_CUT)
        self.capacity = 0
        self.patient = False

    @property
    def busy(self) -> int:
        return self._running.total()

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    async def acquire(self, caller: str, ask: str) -> Permit:
        """A permit, once it is this caller's turn. Raises Failure (503 with Retry-After) when that takes too long."""
        waiter = _Waiter(caller, ask, asyncio.get_running_loop().create_future())
        self._check_room(ask)
        queue = self._queues.setdefault(caller, deque())
        if ask in self._cut:
            queue.appendleft(waiter)
            self._queues.move_to_end(caller, last=False)
        else:
            queue.append(waiter)
        self._arm(waiter)
        self._admit()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                waiter.future.result().release()  # granted and cancelled in the same moment
            raise
        finally:
            self._leave(waiter)

    def open(self, capacity: int) -> None:
        """So many may run at once from now on; 0 admits nobody else."""
        self.capacity = capacity
        self._admit()

    def refuse_all(self, failure: Failure) -> None:
        """Nobody who waits now will get a slot."""
        for waiter in [waiter for queue in self._queues.values() for waiter in queue]:
            self._leave(waiter)
            if not waiter.future.done():
                waiter.future.set_exception(failure)

    def _check_room(self, ask: str) -> None:
        asks = {waiter.ask for queue in self._queues.values() for waiter in queue}
        new = {each for each in asks if not self._begun(each)}
        if ask not in asks and not self._begun(ask) and len(new) >= self._bounds.queue:
            raise self._overloaded(f"{len(asks)} requests are waiting for it already")

    def _begun(self, ask: str) -> bool:
        return bool(self._running[ask]) or ask in self._cut

    def _arm(self, waiter: _Waiter) -> None:
        loop = asyncio.get_running_loop()
        waiter.timer = loop.call_later(self._bounds.wait, self._too_long, waiter)

    def _too_long(self, waiter: _Waiter) -> None:
        if self.patient or self._begun(waiter.ask):
            self._arm(waiter)
            return
        self._leave(waiter)
        if not waiter.future.done():
            waiter.future.set_exception(self._overloaded(f"no slot was free within {self._bounds.wait:g} s"))

    def _overloaded(self, why: str) -> Failure:
        message = f"The model {self._name} on this machine is busy: {why}. Try again later."
        return Failure(Cause.OVERLOADED, message, retry_after=max(1.0, self._bounds.wait / 6))

    def _admit(self) -> None:
        while self.busy < self.capacity and self._queues:
            caller, queue = next(iter(self._queues.items()))
            waiter = queue[0]
            self._leave(waiter)
            if caller in self._queues:
                self._queues.move_to_end(caller)
            if not waiter.future.done():
                self._running[waiter.ask] += 1
                waiter.future.set_result(Permit(partial(self._free, waiter.ask)))

    def _free(self, ask: str, cut: bool) -> None:
        if cut:
            self._cut.append(ask)
        self._running[ask] -= 1
        if not self._running[ask]:
            del self._running[ask]
        self._admit()
        if not self.busy:
            self._idle()

    def _leave(self, waiter: _Waiter) -> None:
        if waiter.timer is not None:
            waiter.timer.cancel()
        queue = self._queues.get(waiter.caller)
        if queue is None or waiter not in queue:
            return
        queue.remove(waiter)
        if not queue:
            del self._queues[waiter.caller]
