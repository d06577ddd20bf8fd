"""A deadline of a connection that is moved with each request and hardly ever passes. Knows the loop's clock only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

EARLY = 0.001
"""Seconds that a timer may come early: uvloop counts in milliseconds."""


class Deadline:
    """Calls `late` at the time it was last set to, unless it was cleared.

    Its timer stays where it is when the deadline moves to a later time or is cleared, and looks when it fires: a
    connection that serves a thousand requests a second sets a timer once a minute.
    """

    __slots__ = ("_armed", "_late", "_loop", "_timer", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Callable[[], None]) -> None:
        self.at: float | None = None
        self._loop = loop
        self._late: Callable[[], None] | None = late
        self._timer: asyncio.TimerHandle | None = None
        self._armed = 0.0  # when the timer fires

    def set(self, at: float) -> None:
        """`at` is in the loop's time."""
        self.at = at
        if self._timer is None or at < self._armed:
            self._arm(at)

    def clear(self) -> None:
        """It will not be missed."""
        self.at = None

    def close(self) -> None:
        """It will never be set again: lets go of whom it would have told."""
        self.at = self._late = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = at
        self._timer = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self.at is None or self._late is None:
            return
        if self._loop.time() < self.at - EARLY:
            self._arm(self.at)
        else:
            self.at = None
            self._late()
