"""One tape's file: written by its owner, read from any place on by everybody."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from riverrun.stream.flow import Ending
from riverrun.tapes.contract import Committed
from riverrun.tapes.disk import Disk
from riverrun.tapes.file_places import full
from riverrun.tapes.own import Done
from riverrun.tapes.records import Damaged, Reading, Record, encoded, encoded_block, told
from riverrun.wire.chunk import CompletionUsage

PIECE = 256 * 1024
"""Bytes that are read at once; between two pieces the loop gets its turn."""


class FileJournal:
    """A journal that is durable as soon as write(2) returns. `size` is that of the whole records in `file`; `grew` is
    told how many bytes were written."""

    __slots__ = ("_disk", "_grew", "_now", "_size", "_torn", "ended", "file", "open")

    def __init__(
        self, disk: Disk, file: int, size: int, now: Callable[[], float], grew: Callable[[int], object]
    ) -> None:
        self.open = True
        self.ended = False
        """Whether its last record is in it."""
        self.file = file
        self._torn = False
        self._disk = disk
        self._size = size
        self._now = now
        self._grew = grew

    def block(self, block: bytes, last: int, grown: Callable[[bytes, int], None]) -> None:
        self.write(encoded_block(block, last))
        grown(block, last)

    def commit(self, facts: Committed, began: Callable[[Committed], None]) -> None:
        self.write([encoded(facts)])
        began(facts)

    def close(self, ending: Ending, usage: CompletionUsage | None, done: Done) -> None:
        self.end(ending, usage)
        done(ending, usage)

    def end(self, ending: Ending, usage: CompletionUsage | None) -> None:
        """Its last record."""
        self.write([encoded(told(ending, usage, self._now()))])
        self.ended = True

    def write(self, pieces: Sequence[bytes]) -> None:
        """All of it; or raises OSError, and the file is as it was."""
        if not self.open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self._torn:
            self._cut()
        size = sum(map(len, pieces))
        try:
            if self._disk.append(self.file, pieces) != size:
                raise full()
        except OSError:
            self._torn = True
            with suppress(OSError):  # then it is tried before the next write; or whoever takes the tape over does it
                self._cut()
            raise
        self._size += size
        self._grew(size)

    def stop(self) -> None:
        """Nothing more is written, whoever tries."""
        if self.open:
            self.open = False
            with suppress(OSError):
                self._disk.close(self.file)

    def _cut(self) -> None:
        """Takes off what a failed write left."""
        self._disk.truncate(self.file, self._size)
        self._torn = False


class Tail:
    """The records of a tape's file from where the last reading ended. `good` is that place, `damaged` whether what
    comes there is no record.

    What is not whole yet is read again the next time: its writer may have failed and taken it off.
    """

    def __init__(self, disk: Disk, file: int) -> None:
        self.good = 0
        self.damaged = False
        self._disk = disk
        self._file = file

    @property
    def torn(self) -> bool:
        """Whether not even one record is in it, and nothing that is none."""
        return self.good == 0 and not self.damaged

    def pieces(self) -> Iterator[list[Record]]:
        """Records, a piece of the file at a time, up to its end or to damage. Raises NewerFormat, and OSError."""
        reading = Reading()
        self.damaged = False
        start = at = self.good
        while data := self._disk.read(self._file, PIECE, at):
            at += len(data)
            records: list[Record] = []
            try:
                records.extend(reading.feed(data))
            except Damaged:
                self.damaged = True
            self.good = start + reading.good
            yield records
            if self.damaged:
                return
