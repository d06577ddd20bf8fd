"""A deadline of a connection: one timer that is set, moved and cleared. Knows the loop's clock and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deadline:
    """Calls `late` at the time it was last set to, unless it was cleared."""

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self.at: float | None = None
        self._loop = loop
        self._late = late
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """`at` is in the loop's time. Setting it to what it is costs nothing."""
        if at == self.at:
            return
        self.clear()
        self.at = at
        self._timer = self._loop.call_at(at, self._fire)

    def clear(self) -> None:
        """It will not fire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.at = None

    def _fire(self) -> None:
        self._timer = None
        self.at = None
        self._late()
