"""A tape whose owner is another process, or that has ended, as it is read from its file.

The file tells everything; the owner's socket only says when to look. So a dead owner changes nothing for who reads:
whoever takes the tape over writes on in the same file, and a new beginning there names its socket.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Ending
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.contract import Committed, Head
from riverrun.tapes.copy import Copy
from riverrun.tapes.disk import Disk
from riverrun.tapes.file_journal import Tail
from riverrun.tapes.file_socket import hear
from riverrun.tapes.records import Begin, NewerFormat
from riverrun.tapes.retention import deleted
from riverrun.wire.completion import Completion

PATIENCE = 30.0
"""Seconds that a live tape may be without an owner before its readers are told."""

PAUSE = 0.1
"""Seconds between two looks for a new owner."""


class FileCopy(Copy):
    """`file` is its own, and closed by `close`. `orphaned` is called when the owner seems to be dead; `tasks` holds
    what runs for this copy."""

    def __init__(
        self,
        head: Head,
        blocks: Blocks,
        disk: Disk,
        file: int,
        tail: Tail,
        orphaned: Callable[[], None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        super().__init__(head, blocks)
        self._disk = disk
        self._file = file
        self._tail = tail
        self._orphaned = orphaned
        self._tasks = tasks
        self._open = True
        self._following: asyncio.Task[None] | None = None

    @property
    def live(self) -> bool:
        """Whether there can be more in its file."""
        return self._open and self.ending is None and self.lost is None

    def read_on(self) -> bool:
        """Takes what is new in the file. Whether there can be more."""
        if self.live:
            try:
                for records in self._tail.pieces():
                    for record in records:
                        self.take(record)
            except NewerFormat as error:
                self.breaks(Failure(Cause.STORAGE, f"This stream can't be read here: {error}."))
            except OSError as error:
                self.breaks(unreadable(error))
        return self.live

    async def committed(self) -> Committed:
        async with self._reading():
            return await super().committed()

    async def ended(self) -> Completion:
        async with self._reading():
            return await super().ended()

    def close(self) -> None:
        """It is read no more."""
        self._heard(False)
        if self._open:
            self._open = False
            with suppress(OSError):
                self._disk.close(self._file)

    def _heard(self, reading: bool) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None
        if reading and self.live:
            self._following = asyncio.get_running_loop().create_task(self._keep_up())
            self._tasks.add(self._following)
            self._following.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[None]:
        """Who waits is a reader too: the owner goes on for it, and the copy is kept."""
        following = self.follow(self.last, _Waiting())
        try:
            yield
        finally:
            following.leave()

    async def _keep_up(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        while self.read_on():
            had, failure = await hear(self.owner, self.head.id, self.read_on)
            since = loop.time() if had else since
            if failure is not None:
                self.breaks(failure)
            elif self.read_on():
                self._judge(loop.time() - since)
                self._orphaned()
                await asyncio.sleep(PAUSE)

    def _judge(self, alone: float) -> None:
        """What becomes of it after `alone` seconds without an owner."""
        if not self._disk.look(self._file).names:
            self.breaks(deleted())
        elif alone > PATIENCE:
            self.breaks(interrupted())


class _Waiting:
    """A reader of no events."""

    def frames(self, block: bytes, last: int) -> bool:
        return False

    def ended(self, ending: Ending) -> None: ...

    def broke(self, failure: Failure) -> None: ...


async def copied(tail: Tail, make: Callable[[Head], FileCopy | None]) -> FileCopy | None:
    """A copy of all that is in the file now, made by `make`; None: it is no tape, or `make` does not want it.

    Raises NewerFormat, and OSError. A long one is read in pieces, and others have their turn in between.
    """
    copy = None
    for records in tail.pieces():
        for record in records:
            if copy is None:
                copy = make(record.head) if isinstance(record, Begin) else None
                if copy is None:
                    return None
            copy.take(record)
        await asyncio.sleep(0)
    return copy


def head_of(tail: Tail) -> Head | None:
    """Whose tape it is; None: it is no tape. Raises NewerFormat, and OSError."""
    for records in tail.pieces():
        for record in records:
            return record.head if isinstance(record, Begin) else None
    return None


def unreadable(error: OSError) -> Failure:
    """What clients hear of a disk from which a tape can't be read."""
    reason = error.strerror or "input/output error"
    return Failure(Cause.STORAGE, f"The server can't read its record of this stream ({reason}).", retry_after=5.0)


def interrupted() -> Failure:
    """What clients hear of a stream whose owner died, and which nobody took over."""
    return Failure(
        Cause.UPSTREAM_INTERRUPTED,
        "The process that produced this stream is gone and no other has taken it over. Ask again.",
    )
