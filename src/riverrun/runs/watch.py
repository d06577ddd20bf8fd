"""The deadlines of one upstream call, kept with one timer that is set again when it fires.

A stream is thousands of reads and a deadline hardly ever passes, so a read only notes the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines


class Watch:
    """Watches from `start` on; calls `expired` once, with the failure, when a deadline passes."""

    def __init__(self, deadlines: Deadlines, expired: Callable[[Failure], None]) -> None:
        self._deadlines = deadlines
        self._expired = expired
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._heard = 0.0
        self._content = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The target can work on it from now."""
        self._started = self._heard = self._loop.time()
        self._set()

    def heard(self, *, content: bool) -> None:
        """The upstream sent something; `content` if it said something."""
        self._heard = self._loop.time()
        if content and not self._content:
            self._content = True
            self._set()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> tuple[float, str] | None:
        """The deadline that passes first: when, and what to say of it."""
        limits = self._deadlines
        candidates: list[tuple[float, str]] = []
        if limits.total is not None:
            candidates.append((self._started + limits.total, f"did not finish within {limits.total:g} s"))
        if self._content and limits.idle is not None:
            candidates.append((self._heard + limits.idle, f"fell silent for {limits.idle:g} s in its answer"))
        if not self._content and limits.first_token is not None:
            candidates.append((self._started + limits.first_token, f"said nothing within {limits.first_token:g} s"))
        return min(candidates) if candidates else None

    def _set(self) -> None:
        self.stop()
        deadline = self._next()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline[0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        deadline = self._next()
        if deadline is None or deadline[0] > self._loop.time():
            self._set()
        else:
            self._expired(Failure(Cause.UPSTREAM_TIMEOUT, f"The upstream {deadline[1]}."))
