"""How long a tape is kept once it has ended, and how long it is remembered that there was one."""

from __future__ import annotations

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.tapes.contract import Head


class Retention(msgspec.Struct, frozen=True):
    """All in seconds. `stored` is for completions that were asked for with `store`."""

    ended: float = 600.0
    keyed: float = 24 * 3600.0
    stored: float = 30 * 24 * 3600.0
    gone: float = 24 * 3600.0

    def of(self, head: Head) -> float:
        """Seconds after its ending."""
        if head.store:
            return self.stored
        return self.keyed if head.key else self.ended


def expired(id: str) -> Failure:
    """What its own tenant hears of a tape that is no longer kept."""
    return Failure(Cause.EXPIRED, f"The completion {id} is no longer kept here; ask again.")


def deleted() -> Failure:
    """What readers of a tape hear that was deleted."""
    return Failure(Cause.UNKNOWN_ID, "The completion was deleted.", code="deleted")


def handed_over() -> Failure:
    """What readers hear of a stream whose server stops and leaves it to others."""
    return Failure(
        Cause.OVERLOADED,
        "This server is shutting down and leaves the stream to whoever serves it next; come back for the rest.",
        code="handed_over",
        retry_after=1.0,
    )
