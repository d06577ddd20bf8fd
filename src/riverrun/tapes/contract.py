"""What a tape is: the numbered log of one stream's events, its ending, and its followers.

One owner writes it; whoever wants the answer follows it, from any number on, at its own pace. The followers keep no
buffer: each has a cursor, and a slow one stalls nobody.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from riverrun.stream.flow import Ending
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.completion import Completion

Signal = Literal["left"]
"""What readers tell the owner: the last of them has gone."""


class Head(msgspec.Struct, frozen=True):
    """What is known when a tape is made. `created` is in Unix seconds."""

    id: str
    created: int
    tenant: str


class Committed(msgspec.Struct, frozen=True):
    """What is known at the first content: who answers, and the hints that could not be carried."""

    target: str
    dropped: tuple[str, ...] = ()


class Follower(Protocol):
    """A reader of a tape: a socket, somebody who waits for the whole, a test."""

    def frames(self, block: bytes, last: int) -> bool:
        """Whole events up to number `last`. False: taken, but no more until `Following.more()`."""

    def ended(self, ending: Ending) -> None:
        """Called once, after the last frame."""


class Following(Protocol):
    """One follower's place on a tape."""

    def more(self) -> None:
        """Read on: at first, and whenever the follower had enough."""

    def leave(self) -> None:
        """This reader wants no more."""


class Tape(Protocol):
    """The owner's side, and what the server waits for."""

    head: Head
    last: int
    """The number of the newest event; 0 before the first."""

    def append(self, payloads: list[bytes]) -> None:
        """Number them, make them durable, then feed the followers."""

    def commit(self, facts: Committed) -> None:
        """There is content: whoever waits may answer 200."""

    def close(self, ending: Ending, usage: CompletionUsage | None) -> None:
        """No more. `usage` is what an answer that finished cost, for readers who did not ask for it in the stream."""

    def follow(self, after: int, follower: Follower) -> Following:
        """A new follower, standing after event `after`. It counts as a reader now, and reads from `more()` on."""

    async def committed(self) -> Committed:
        """Waits for content, or raises the Failure."""

    async def ended(self) -> Completion:
        """Waits for the end: the whole answer, or raises the Failure."""
