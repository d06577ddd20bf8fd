"""Things that are due later, in any number, with one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Expiry(Generic[T]):
    """Calls back with a thing when its time has come. A thing has one time: the latest that was given.

    A thing that is forgotten is held until then all the same: so it should be a name, or small.
    """

    def __init__(self, call: Callable[[T], object]) -> None:
        self._call = call
        self._due: list[tuple[float, int, T]] = []
        self._known: dict[T, int] = {}  # by the number that it was given last
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float, thing: T) -> None:
        loop = asyncio.get_running_loop()
        self._number = self._known[thing] = number = self._number + 1
        heappush(self._due, (loop.time() + seconds, number, thing))
        if self._due[0][1] == number:
            self._set(loop)

    def forget(self, thing: T) -> None:
        self._known.pop(thing, None)

    def hasten(self) -> None:
        """What would be the next to be due is due now."""
        while self._due:
            if self._take():
                return

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()
        self._known.clear()

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._due[0][0], self._fire, loop) if self._due else None

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        try:
            while self._due and self._due[0][0] <= loop.time():
                self._take()
        finally:  # a call that failed keeps nothing else from its time
            self._set(loop)

    def _take(self) -> bool:
        """Whether the first was still wanted: it was called."""
        _, number, thing = heappop(self._due)
        if self._known.get(thing) != number:
            return False
        del self._known[thing]
        self._call(thing)
        return True
