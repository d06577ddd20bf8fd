"""The deadlines of one upstream call, kept with one timer that is set again when it fires.

A stream is thousands of reads and a deadline hardly ever passes, so a read only notes the time. The timer is set to the
first moment at which a deadline could pass; words that come until then only put that off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines


class Watch:
    """Watches from `start` on; calls `expired` once, with the failure, when a deadline passes."""

    __slots__ = ("_content", "_deadlines", "_expired", "_loop", "_started", "_timer", "last")

    def __init__(self, deadlines: Deadlines, expired: Callable[[Failure], None]) -> None:
        self.last = 0.0
        """When the upstream last sent something. Who hears every read of a stream may write it down here itself."""
        self._content = False  # it has said something
        self._deadlines = deadlines
        self._expired: Callable[[Failure], None] | None = expired
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """The target can work on it from now."""
        self._started = self.last = self._loop.time()
        self._set(self._started)

    def heard(self) -> None:
        """The upstream said something."""
        self.last = self._loop.time()
        self._content = True

    def stop(self) -> None:
        self._expired = None
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
            candidates.append((self.last + limits.idle, f"fell silent for {limits.idle:g} s in its answer"))
        if not self._content and limits.first_token is not None:
            candidates.append((self._started + limits.first_token, f"said nothing within {limits.first_token:g} s"))
        return min(candidates) if candidates else None

    def _set(self, now: float) -> None:
        """To the first moment at which a deadline could pass, also if its first content comes right after `now`."""
        limits = self._deadlines
        due = None if limits.total is None else self._started + limits.total
        if limits.idle is not None:
            silent = limits.idle + (self.last if self._content else now)
            due = silent if due is None or silent < due else due
        if limits.first_token is not None and not self._content:
            late = limits.first_token + self._started
            due = late if due is None or late < due else due
        if due is not None:
            self._timer = self._loop.call_at(due, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        deadline = self._next()
        if deadline is None or deadline[0] > now:
            self._set(now)
        elif self._expired is not None:
            self._expired(Failure(Cause.UPSTREAM_TIMEOUT, f"The upstream {deadline[1]}."))
