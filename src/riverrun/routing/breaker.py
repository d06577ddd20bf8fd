"""Whether a target is worth asking: opens after failures in a row, lets one probe through, closes on its success.

Pure: the clock is passed in, in seconds of the loop.
"""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["closed", "open", "half-open"]


class Limits(msgspec.Struct, frozen=True):
    """`failures` in a row open it, for `pause` seconds, twice as long after each failed probe up to `longest`."""

    failures: int = 5
    pause: float = 5.0
    longest: float = 60.0


class Breaker:
    """The health of one target, as its own answers tell it."""

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self._limits = limits
        self._failures = 0
        self._pause = limits.pause
        self._until: float | None = None  # open until then; None: closed

    def state(self, now: float) -> State:
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half-open"

    def admits(self, now: float) -> bool:
        """Whether a request may go there now."""
        return self.state(now) != "open"

    def asked(self, now: float) -> None:
        """A request goes there. Half-open it is the probe: nobody else goes until it has told, or a pause has passed.

        So a probe that is given up, or never comes back, keeps nobody away for ever.
        """
        if self.state(now) == "half-open":
            self._until = now + self._pause

    def succeeded(self) -> None:
        """It answered: with content, or with an error that is the client's own."""
        self._failures = 0
        self._pause = self._limits.pause
        self._until = None

    def failed(self, now: float) -> None:
        """It failed by its own fault."""
        self._failures += 1
        if self._until is not None:
            self._open(now, min(self._pause * 2, self._limits.longest))
        elif self._failures >= self._limits.failures:
            self._open(now, self._limits.pause)

    def _open(self, now: float, pause: float) -> None:
        self._pause = pause
        self._until = now + pause
