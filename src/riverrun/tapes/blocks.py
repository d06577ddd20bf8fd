"""The events of one tape, as they were appended: in memory, and beyond a bound in the file of what was spilled.

A replay is what was sent, not what could be rendered again.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf

from riverrun.tapes.spill import Range, Spill

PIECE = 256 * 1024
"""Bytes that are read back from the file at once, about: a slow reader of a long answer costs no more."""

FEW = 8
"""Appends whose room is not worth the joining: a short answer has two."""

SETTLED = 64 * 1024
"""The same of what is kept in memory: a reader that comes back is given so much at once."""


class Memory:
    """What the events of many tapes take of memory, and what is beside. Each of them counts itself in."""

    def __init__(self, bound: float = inf) -> None:
        self.used = 0
        """Bytes of events and of what is beside."""
        self.held = 0
        """Bytes of these that are beside."""
        self.bound = bound

    def passed(self) -> None:
        """Something came, and `used` is more than `bound`."""


class Blocks:
    """The events of one tape, as a part of `memory`."""

    __slots__ = ("_blocks", "_lasts", "_memory", "_spilled", "beside", "dropped", "size")

    def __init__(self, memory: Memory | None = None) -> None:
        self.size = 0
        """Bytes of all events."""
        self.beside = 0
        """Bytes in memory that belong to the tape and can't be spilled: its request."""
        self.dropped = False
        """Nothing of them can be read any more."""
        self._blocks: list[bytes] = []  # one per append
        self._lasts: list[int] = []  # the number of each block's last event
        self._memory = memory or Memory()
        self._spilled: _Spilled | None = None

    def add(self, block: bytes, last: int) -> None:
        self._blocks.append(block)
        self._lasts.append(last)
        size = len(block)
        self.size += size
        memory = self._memory
        memory.used += size
        if memory.used > memory.bound:
            memory.passed()

    def hold(self, size: int) -> None:
        """So many bytes are kept beside the events, as long as these."""
        self.beside += size
        memory = self._memory
        memory.held += size
        memory.used += size
        if memory.used > memory.bound:
            memory.passed()

    def settle(self) -> None:
        """No more is added: what is kept for long lies in a few pieces, without the room that each append took."""
        if len(self._blocks) > FEW:
            self._blocks, self._lasts = _pieces(self._blocks, self._lasts, SETTLED)

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
        self._memory.held -= self.beside
        self._memory.used -= self.beside
        self.beside = 0
        if self._spilled is not None:
            self._spilled.close()
            self._spilled = None

    def _let_go(self) -> int:
        freed = sum(map(len, self._blocks))
        self._blocks, self._lasts = [], []
        self._memory.used -= freed
        return freed


class _Spilled:
    """The older events, in pieces of about PIECE bytes."""

    __slots__ = ("_file", "_lasts", "_ranges", "last")

    def __init__(self, file: Spill) -> None:
        self.last = 0
        self._file = file
        self._ranges: list[Range] = []  # where each piece lies
        self._lasts: list[int] = []

    def add(self, blocks: list[bytes], lasts: list[int]) -> None:
        pieces, ends = _pieces(blocks, lasts, PIECE)
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


def _pieces(blocks: list[bytes], lasts: list[int], size: int) -> tuple[list[bytes], list[int]]:
    """The same events in pieces of about `size` bytes, and the number of each piece's last."""
    if sum(map(len, blocks)) <= size:
        return [b"".join(blocks)], lasts[-1:]
    pieces: list[bytes] = []
    ends: list[int] = []
    start = length = 0
    for index, block in enumerate(blocks, 1):
        length += len(block)
        if length >= size or index == len(blocks):
            pieces.append(b"".join(blocks[start:index]))
            ends.append(lasts[index - 1])
            start, length = index, 0
    return pieces, ends


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
