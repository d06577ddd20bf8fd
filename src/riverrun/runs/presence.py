"""What becomes of an answer that nobody reads: it ends, it waits for a reader to return, or it goes on.

A client that means to come back says so, with its request; one that says nothing is taken at its word when it hangs up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from riverrun.tapes.contract import Policy


class Presence(msgspec.Struct, eq=False):
    """`gone` is called once it is clear that nobody will read on. `grace` is in seconds."""

    _policy: Policy
    _grace: float
    _gone: Callable[[], None]
    _timer: asyncio.TimerHandle | None = None

    def joined(self) -> None:
        """A reader is there: a timer stops."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def left(self) -> None:
        """The last reader has left."""
        if self._policy == "cancel":
            self._gone()
        else:
            self.abandoned()

    def abandoned(self) -> None:
        """There is no reader, for a reason that is not theirs: one may return, whatever the policy."""
        self.joined()
        if self._policy != "finish":
            self._timer = asyncio.get_running_loop().call_later(self._grace, self._gone)

    def over(self) -> None:
        """The answer has ended: nobody is waited for any more."""
        if self._timer is not None:
            self.joined()
        self._policy = "finish"
        self._gone = _nothing


def _nothing() -> None:
    """Nobody hears of it any more."""
