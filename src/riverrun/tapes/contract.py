"""What a tape is: the numbered log of one stream's events, its ending, and its followers; and where tapes are kept.

One owner writes a tape; whoever wants the answer follows it, from any number on, at its own pace. The followers keep no
buffer: each has a cursor, and a slow one stalls nobody.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Literal, Protocol

import msgspec

from riverrun.failures import Failure
from riverrun.stream.flow import Ending
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.completion import Completion

Signal = Literal["joined", "left", "cancel", "broken"]
"""What a tape tells its owner: the first reader came, the last one left, somebody asked for an end, it can't be written
any more (`OwnTape.broken` says why)."""

Policy = Literal["cancel", "grace", "finish"]
"""What becomes of an answer that nobody reads any more: it ends, it waits a while for a reader, it goes on."""


class Head(msgspec.Struct, frozen=True):
    """What is known when a tape is made: enough for another owner to go on with it.

    `created` is in Unix seconds. `key` and `digest` are hex SHA-256 of the idempotency key (with its tenant; "" without
    one) and of the request's canonical body. `request` is the body, as JSON; it is content: never logged, deleted with
    the tape. `seed` was drawn where the request had none.
    """

    id: str
    created: int
    tenant: str
    request: msgspec.Raw = msgspec.Raw(b"{}")
    key: str = ""
    digest: str = ""
    seed: int | None = None
    policy: Policy = "cancel"
    store: bool = False
    caller: str = ""


class Committed(msgspec.Struct, frozen=True):
    """What is known at the first content: who answers, and the hints that could not be carried."""

    target: str
    dropped: tuple[str, ...] = ()


class Follower(Protocol):
    """A reader of a tape: a socket, somebody who waits for the whole, another process, a test."""

    def frames(self, block: bytes, last: int) -> bool:
        """Whole events up to number `last`. False: taken, but no more until `Following.more()`."""

    def ended(self, ending: Ending) -> None:
        """Called once, after the last frame."""

    def broke(self, failure: Failure) -> None:
        """Called once, in place of `ended`: no more can be had here, and the end is unknown. Coming back may help."""


class Following(Protocol):
    """One follower's place on a tape."""

    def more(self) -> None:
        """Read on: at first, and whenever the follower had enough."""

    def leave(self) -> None:
        """This reader wants no more."""


Attending = Callable[[], None]
"""Told once, when a tape has ended or can't be had here any more."""


class Tape(Protocol):
    """A tape as its readers see it, wherever its owner is."""

    head: Head
    last: int
    """The number of the newest event that followers may have; 0 before the first."""
    ending: Ending | None
    metadata: Mapping[str, str]

    @property
    def facts(self) -> Committed | None:
        """What was known at the first content; None: there has been none."""

    def follow(self, after: int, follower: Follower) -> Following:
        """A new follower, standing after event `after`. It counts as a reader now, and reads from `more()` on."""

    def attend(self, over: Attending) -> None:
        """Somebody who waits for the end counts as a reader, and needs no event. Told at once where it is over."""

    def absent(self, over: Attending) -> None:
        """It waits no more."""

    async def committed(self) -> Committed:
        """Waits for content, or raises the Failure."""

    async def ended(self) -> Completion:
        """Waits for the end: the whole answer, or raises the Failure."""


class OwnTape(Tape, Protocol):
    """The owner's side."""

    epoch: int
    """Counts the tape's owners, from 1."""
    written: int
    """The number of the newest event that was appended; the followers have it once it is durable."""
    broken: Failure | None
    """Why nothing more can be written."""

    def append(self, payloads: list[bytes]) -> None:
        """Numbers them, makes them durable, then feeds the followers. Raises Failure when the tape is broken."""

    def commit(self, facts: Committed) -> None:
        """There is content: whoever waits may answer 200."""

    def close(self, ending: Ending, usage: CompletionUsage | None) -> None:
        """No more. `usage` is what an answer that finished cost, for readers who did not ask for it in the stream."""

    def payloads(self) -> list[bytes]:
        """The data of every event that was appended."""


class Taken(msgspec.Struct, frozen=True):
    """An idempotency key that is in use: the tape that it names, and the digest of that tape's request."""

    id: str
    digest: str


Listener = Callable[[Signal], None]


class Tapes(Protocol):
    """Where tapes are kept. Implemented by memory, file and redis."""

    shared: bool
    """Whether other processes can go on with what this one leaves."""

    async def create(self, head: Head, listener: Listener) -> OwnTape | Taken:
        """A tape of our own; or, when the key is in use, the tape that has it. Raises Failure when there is no room."""

    async def open(self, tenant: str, id: str) -> Tape | None:
        """A tape of this tenant, here or elsewhere. None: unknown, or another tenant's. Raises Failure 410: expired."""

    async def cancel(self, tape: Tape) -> None:
        """Asks the owner, wherever it is, to end it."""

    async def forget_key(self, head: Head) -> None:
        """The key of this tape is free again: nothing was generated for it."""

    async def delete(self, tenant: str, id: str) -> None:
        """The tape, its request, its key and what is kept of it are gone at once; its readers are told."""

    async def annotate(self, tape: Tape, metadata: Mapping[str, str]) -> None:
        """Replaces the metadata of a stored completion."""

    def stored(
        self, tenant: str, *, after: str | None = None, newest_first: bool = False
    ) -> AsyncGenerator[Tape, None]:
        """The tenant's tapes with `store`, the oldest first or last, and only those behind the one with the id `after`.

        Each is opened when it is asked for, and let go when the next is. Raises Failure 400: no tape `after`.
        """

    async def note(self, name: str, value: bytes, seconds: float) -> None:
        """Keeps a small value for so long, for every process that shares these tapes."""

    async def noted(self, name: str) -> bytes | None: ...

    async def drop_note(self, name: str) -> bool:
        """Whether it was there: of several that drop it at once, one is told True."""

    async def open_for(self, adopter: Adopter) -> None:
        """Starts: from now on tapes whose owner died are handed to `adopter`."""

    async def close(self) -> None:
        """Ends. Own tapes that are still live are left to others, if others can have them."""


class Adopter(Protocol):
    """Who goes on with the tapes of a dead owner, unless it is `draining`."""

    draining: bool

    def adopt(self, tape: OwnTape) -> Listener:
        """Takes the tape over, from its last event on. Returns who hears its signals. Never raises."""
