"""How deltas travel: pushed, one plain call per read from the upstream, and exactly one ending.

These are the seams between rooms: a backend pushes into a Sink, a run holds the Call. Nothing here does I/O.
"""

from __future__ import annotations

from typing import Protocol, final

import msgspec

from riverrun.failures import Failure
from riverrun.stream.deltas import Delta

# Asked for with `type(…) is`: of a struct, `isinstance` takes ten times as long to say no. A few times a request.


@final
class Finished(msgspec.Struct, frozen=True):
    """Every choice that was asked for has its finish_reason."""


@final
class Refused(msgspec.Struct, frozen=True):
    """It failed, and this is why: a refusal before the first delta, or a cut, stall or error after it."""

    failure: Failure


@final
class Cancelled(msgspec.Struct, frozen=True):
    """We stopped it: nobody reads it any more."""


Ending = Finished | Refused | Cancelled


class Sink(Protocol):
    """Where a backend puts what it hears. Called from the socket's read callback: never awaited, never raises."""

    def push(self, deltas: list[Delta]) -> None:
        """One call per read from the upstream; an empty list says that it is alive (a ping, a comment)."""

    def end(self, ending: Ending) -> None:
        """Exactly once, and last."""


class Call(Protocol):
    """A request that is under way."""

    def cancel(self) -> None:
        """Stop it now: closes the upstream's socket. The sink's `end` is called with Cancelled, unless it ended."""
