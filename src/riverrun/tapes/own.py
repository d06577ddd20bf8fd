"""A tape of our own: what is appended is numbered, made durable by a journal, and only then read by anybody.

The rule of write-ahead: an event is on the tape, at the tape's durability, before any socket sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Ending
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.contract import Committed, Head, Listener
from riverrun.tapes.log import Log
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.sse import frame, frames

Done = Callable[[Ending, CompletionUsage | None], None]


class Journal(Protocol):
    """Where a tape's records are made durable. Each call answers by calling its last argument with all the others, now
    or later, in the order of the calls; or raises OSError; or, later, calls the tape's `fail`."""

    def block(self, block: bytes, last: int, grown: Callable[[bytes, int], None]) -> None: ...

    def commit(self, facts: Committed, began: Callable[[Committed], None]) -> None: ...

    def close(self, ending: Ending, usage: CompletionUsage | None, done: Done) -> None: ...


class Own(Log):
    """The owner's tape. `listener` hears its signals, `over` is told once that nothing more will be written.

    `journal`: None where it need not outlive this process. `largest`: how many bytes of events it may have.
    """

    __slots__ = ("_closed", "_largest", "_over", "broken", "epoch", "journal", "listener", "written")

    def __init__(
        self,
        head: Head,
        blocks: Blocks,
        journal: Journal | None,
        listener: Listener,
        over: Callable[[Own], None],
        largest: int | None = None,
    ) -> None:
        super().__init__(head, blocks)
        self.epoch = 1
        self.written = 0
        self.broken: Failure | None = None
        self.listener = listener
        self.journal = journal
        self._over = over
        self._largest = inf if largest is None else largest
        self._closed = False

    def append(self, payloads: list[bytes]) -> None:
        if self.broken is not None:
            raise self.broken
        if self.blocks.size > self._largest:
            raise self._outgrown()
        first = self.written + 1
        self.written = last = self.written + len(payloads)
        block = frame(last, payloads[0]) if first == last else frames(first, payloads)
        self.blocks.add(block, last)
        if self.journal is None:
            self.grown(block, last)
            return
        try:
            self.journal.block(block, last, self.grown)
        except OSError as error:
            raise self.fail(unwritable(error)) from error

    def commit(self, facts: Committed) -> None:
        if self.broken is not None:
            return
        if self.journal is None:
            self.began(facts)
        else:
            try:
                self.journal.commit(facts, self.began)
            except OSError as error:
                self.fail(unwritable(error))

    def close(self, ending: Ending, usage: CompletionUsage | None) -> None:
        self._closed = True
        if self.broken is not None:
            self._give_up(self.broken)
        elif self.journal is None:
            self._done(ending, usage)
        else:
            try:
                self.journal.close(ending, usage, self._done)
            except OSError as error:
                self.fail(unwritable(error))

    def payloads(self) -> list[bytes]:
        return self.blocks.payloads()

    def restored(self, last: int, epoch: int) -> None:
        """What its former owners wrote, up to event `last`, has been put into its blocks; ours is this epoch."""
        self.written = self.last = last
        self.epoch = epoch

    def fail(self, failure: Failure) -> Failure:
        """It can't be written any more. Returns what is told: the first reason."""
        if self.broken is None:
            self.broken = failure
            if self._closed:  # nobody will close it again
                self._give_up(failure)
            else:
                self.listener("broken")
        return self.broken

    def _done(self, ending: Ending, usage: CompletionUsage | None) -> None:
        self.ends(ending, usage)
        self._retire()

    def _give_up(self, failure: Failure) -> None:
        self.breaks(failure)
        self._retire()

    def _retire(self) -> None:
        """There is nothing to hear any more: a tape that is kept for a day does not keep the run that wrote it."""
        over, self._over = self._over, _nothing
        self.listener = _nothing
        over(self)

    def _heard(self, reading: bool) -> None:
        if self.ending is None:
            self.listener("joined" if reading else "left")

    def _outgrown(self) -> Failure:
        """Told once: a stream's last words still go in."""
        largest, self._largest = self._largest, inf
        return Failure(
            Cause.OVERLOADED,
            f"The answer has outgrown {largest} bytes, the most that one stream may have here (`stream_limit` "
            "under [tapes]).",
            code="stream_too_large",
            retry=False,
        )


def _nothing(told: object) -> None:
    """Hears it."""


def unwritable(error: OSError) -> Failure:
    """What clients hear of a disk that is full or broken."""
    return Failure(
        Cause.STORAGE,
        f"The server can't write its record of this stream ({error.strerror or 'input/output error'}), so nothing more "
        "of it is sent. Ask again, or resume it later.",
        retry_after=5.0,
    )
