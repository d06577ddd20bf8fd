"""Things that are due later, in any number, with one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from itertools import count


class Expiry:
    """Calls back when a thing's time has come. A thing has one time: the latest that was given."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Hashable]] = []
        self._calls: dict[Hashable, tuple[int, Callable[[], object]]] = {}
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float, thing: Hashable, call: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        self._calls[thing] = (number, call)
        heappush(self._due, (loop.time() + seconds, number, thing))
        if self._due[0][1] == number:
            self._set(loop)

    def forget(self, thing: Hashable) -> None:
        self._calls.pop(thing, None)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()
        self._calls.clear()

    def _set(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._due[0][0], self._fire, loop) if self._due else None

    def _fire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        try:
            while self._due and self._due[0][0] <= loop.time():
                _, number, thing = heappop(self._due)
                known = self._calls.get(thing)
                if known is not None and known[0] == number:
                    del self._calls[thing]
                    known[1]()
        finally:  # a call that failed keeps nothing else from its time
            self._set(loop)
