"""The events of one tape, as they were appended: in memory, and beyond a bound in a file that has no name.

A replay is what was sent, not what could be rendered again.
"""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from collections.abc import Callable

PIECE = 256 * 1024
"""Bytes that are read back from the file at once, about: a slow reader of a long answer costs no more."""


class Blocks:
    """`resized` is told by how many bytes the memory that it takes has changed."""

    def __init__(self, resized: Callable[[int], None] | None = None) -> None:
        self.size = 0
        """Bytes of all events."""
        self.dropped = False
        """Nothing of them can be read any more."""
        self._blocks: list[bytes] = []  # one per append
        self._lasts: list[int] = []  # the number of each block's last event
        self._resized = resized
        self._spilled: _Spilled | None = None

    def add(self, block: bytes, last: int) -> None:
        self._blocks.append(block)
        self._lasts.append(last)
        self.size += len(block)
        if self._resized is not None:
            self._resized(len(block))

    def after(self, number: int) -> tuple[bytes, int]:
        """Some whole events from the one after `number` on, which must be there, and the last one's number."""
        if self._spilled is not None and number < self._spilled.last:
            block, last = self._spilled.after(number)
        else:
            index = bisect_right(self._lasts, number)
            block, last = self._blocks[index], self._lasts[index]
        return unread(block, number, last), last

    def payloads(self) -> list[bytes]:
        """The data of every event."""
        before = self._spilled.whole() if self._spilled is not None else b""
        events = b"".join([before, *self._blocks]).split(b"\n\n")[:-1]
        return [event.partition(b"\ndata: ")[2] for event in events]

    def spill(self, folder: str) -> int:
        """Moves what is in memory to the file; returns how many bytes. Raises OSError: then it is all still here."""
        if not self._blocks:
            return 0
        spilled = self._spilled or _Spilled(folder)
        spilled.add(self._blocks, self._lasts)
        self._spilled = spilled
        return self._let_go()

    def drop(self) -> None:
        """Nothing of it is needed any more."""
        self.dropped = True
        self._let_go()
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None

    def _let_go(self) -> int:
        freed = sum(map(len, self._blocks))
        self._blocks, self._lasts = [], []
        if self._resized is not None:
            self._resized(-freed)
        return freed


class _Spilled:
    """The older events, in pieces of about PIECE bytes."""

    def __init__(self, folder: str) -> None:
        self.last = 0
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # it lives as long as its tape
        self._ends: list[int] = []  # where each piece ends in the file
        self._lasts: list[int] = []

    def add(self, blocks: list[bytes], lasts: list[int]) -> None:
        piece: list[bytes] = []
        pieces: list[tuple[bytes, int]] = []
        size = 0
        for block, last in zip(blocks, lasts, strict=True):
            piece.append(block)
            size += len(block)
            if size >= PIECE or last == lasts[-1]:
                pieces.append((b"".join(piece), last))
                piece, size = [], 0
        end = self._ends[-1] if self._ends else 0
        ends = []
        for data, _ in pieces:
            _write(self._file.fileno(), data, end)
            end += len(data)
            ends.append(end)
        self._ends += ends  # only now: a disk that was full half-way has changed nothing
        self._lasts += [last for _, last in pieces]
        self.last = self._lasts[-1]

    def after(self, number: int) -> tuple[bytes, int]:
        index = bisect_right(self._lasts, number)
        return self._read(index), self._lasts[index]

    def whole(self) -> bytes:
        return b"".join(map(self._read, range(len(self._ends))))

    def close(self) -> None:
        self._file.close()

    def _read(self, index: int) -> bytes:
        start = self._ends[index - 1] if index else 0
        return os.pread(self._file.fileno(), self._ends[index] - start, start)


def _write(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written


def durable(block: bytes, last: int, end: int) -> bytes:
    """The part of a block up to event `end`: what is appended may spill before it is durable."""
    return b"".join(event + b"\n\n" for event in block.split(b"\n\n")[: end - last - 1])


def unread(block: bytes, after: int, last: int) -> bytes:
    """The part of a block that lies after event `after`."""
    first = int(block[4 : block.index(b"\n")])  # `id: N`
    if first > after:
        return block
    events = block.split(b"\n\n")[:-1]
    return b"".join(event + b"\n\n" for event in events[after - last :])
