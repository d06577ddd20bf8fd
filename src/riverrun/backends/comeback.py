"""Coming back to a stream whose connection broke: when it is tried again, and when it is given up.

Knows time only, of the running loop; what is asked, and what an answer means, is the call's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
PATIENCE = 30.0
"""Seconds without a connection, in all, between two events that were new. The run's own deadlines may end it before."""


class Comeback:
    """Calls `attempt` after each pause, of 0.1, 0.2, 0.4 … 2 s, and `give_up` once where patience ends."""

    def __init__(self, attempt: Callable[[], None], give_up: Callable[[], None]) -> None:
        self.away = False
        """There is no connection with the stream on it."""
        self._attempt = attempt
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._tries = 0
        self._spent = 0.0  # seconds without a connection before this time, since something new came
        self._since = 0.0
        self._pause: asyncio.TimerHandle | None = None
        self._limit: asyncio.TimerHandle | None = None

    def lost(self) -> None:
        """The connection broke, or an attempt to come back failed."""
        if not self.away:
            self.away = True
            self._since = self._loop.time()
            self._limit = self._loop.call_later(max(0.0, PATIENCE - self._spent), self._over)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._tries)
        self._tries += 1
        self._pause = self._loop.call_later(pause, self._attempt)

    def back(self) -> None:
        """The stream goes on, with silence at first."""
        self.stop()
        self.away = False
        self._spent += self._loop.time() - self._since

    def progressed(self) -> None:
        """Something new came: the next cut is a matter of its own."""
        self._tries = 0
        self._spent = 0.0

    def stop(self) -> None:
        """No timer of it fires any more."""
        for timer in (self._pause, self._limit):
            if timer is not None:
                timer.cancel()

    def _over(self) -> None:
        self.stop()
        self._give_up()
