"""The events of one tape, as they were appended: in memory, and beyond a bound in the file of what was spilled.

A replay is what was sent, not what could be rendered again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from riverrun.tapes.spill import Range, Spill

PIECE = 256 * 1024
"""Bytes that are read back from the file at once, about: a slow reader of a long answer costs no more."""


class Blocks:
    """`resized` is told by how many bytes the memory that the events take has changed, and that of what is beside."""

    def __init__(self, resized: Callable[[int, int], None] | None = None) -> None:
        self.size = 0
        """Bytes of all events."""
        self.beside = 0
        """Bytes in memory that belong to the tape and can't be spilled: its request."""
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
        self._tell(len(block))

    def hold(self, size: int) -> None:
        """So many bytes are kept beside the events, as long as these."""
        self.beside += size
        self._tell(0, size)

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

    def spill(self, file: Spill) -> int:
        """Moves what is in memory to the file; returns how many bytes. Raises OSError: then it is all still here."""
        if not self._blocks:
            return 0
        spilled = self._spilled or _Spilled(file)
        spilled.add(self._blocks, self._lasts)
        self._spilled = spilled
        return self._let_go()

    def drop(self) -> None:
        """Nothing of it is needed any more."""
        self.dropped = True
        self._let_go()
        beside, self.beside = self.beside, 0
        self._tell(0, -beside)
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None

    def _let_go(self) -> int:
        freed = sum(map(len, self._blocks))
        self._blocks, self._lasts = [], []
        self._tell(-freed)
        return freed

    def _tell(self, events: int, beside: int = 0) -> None:
        if self._resized is not None:
            self._resized(events, beside)


class _Spilled:
    """The older events, in pieces of about PIECE bytes."""

    def __init__(self, file: Spill) -> None:
        self.last = 0
        self._file = file
        self._ranges: list[Range] = []  # where each piece lies
        self._lasts: list[int] = []

    def add(self, blocks: list[bytes], lasts: list[int]) -> None:
        piece: list[bytes] = []
        pieces: list[bytes] = []
        ends: list[int] = []
        size = 0
        for block, last in zip(blocks, lasts, strict=True):
            piece.append(block)
            size += len(block)
            if size >= PIECE or last == lasts[-1]:
                pieces.append(b"".join(piece))
                ends.append(last)
                piece, size = [], 0
        self._ranges += self._file.write(pieces)
        self._lasts += ends
        self.last = self._lasts[-1]

    def after(self, number: int) -> tuple[bytes, int]:
        index = bisect_right(self._lasts, number)
        return self._file.read(self._ranges[index]), self._lasts[index]

    def whole(self) -> bytes:
        return b"".join(map(self._file.read, self._ranges))

    def close(self) -> None:
        self._file.release(self._ranges)
        self._ranges = []


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
