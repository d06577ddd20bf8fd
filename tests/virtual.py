"""An event loop whose time jumps to the next timer as soon as nothing is ready: a minute of silence costs nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class _Jump(selectors.BaseSelector):
    """Waits by moving the clock, where no file is ready at once."""

    def __init__(self, real: selectors.BaseSelector) -> None:
        self.now = 1000.0
        self._real = real

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready and timeout is None:
            raise RuntimeError("the virtual loop waits for something that can never come")
        if not ready and timeout:
            self.now += timeout
        return ready

    def register(self, fileobj, events, data=None):  # type: ignore[no-untyped-def]  # handed through
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj):  # type: ignore[no-untyped-def]  # handed through
        return self._real.unregister(fileobj)

    def get_map(self):  # type: ignore[no-untyped-def]  # handed through
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """For code that takes time only from the loop, and whose transports are in memory."""

    def __init__(self) -> None:
        self._jump = _Jump(selectors.DefaultSelector())
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(main: Coroutine[object, object, T]) -> T:
    """Runs a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
