"""Where events lie that memory has no room for: one file without a name for all tapes of a process.

It knows ranges of bytes, and not what is in them. What is given back is used again, and at the file's end cut off.
"""

from __future__ import annotations

import os
import tempfile
from bisect import insort
from io import FileIO
from typing import NamedTuple


class Range(NamedTuple):
    """Bytes from `start` on, up to before `end`."""

    start: int
    end: int


class Spill:
    """`folder` is where the file is made, at the first write; when nothing is in it any more it is closed."""

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder or tempfile.gettempdir()
        self._file: FileIO | None = None
        self._end = 0
        self._free: list[Range] = []  # in their order, none next to another, none at the end

    def write(self, pieces: list[bytes]) -> list[Range]:
        """Where each of them lies now. Raises OSError: then nothing has changed."""
        made: list[Range] = []
        try:
            for piece in pieces:
                made.append(self._take(len(piece)))
                _write(self._opened(), piece, made[-1].start)
        except OSError:
            self.release(made)
            raise
        return made

    def read(self, range: Range) -> bytes:
        return os.pread(self._opened(), range.end - range.start, range.start)

    def release(self, ranges: list[Range]) -> None:
        """Nothing in them is needed any more."""
        for range in ranges:
            insort(self._free, range)
        self._free = _joined(self._free)
        if self._free and self._free[-1].end == self._end:
            self._end = self._free.pop().start
            self._shorten()

    def _take(self, size: int) -> Range:
        """The first free range that is long enough, or more of the file."""
        for index, (start, end) in enumerate(self._free):
            if end - start >= size:
                self._free[index : index + 1] = [Range(start + size, end)] if end - start > size else []
                return Range(start, start + size)
        self._end += size
        return Range(self._end - size, self._end)

    def _opened(self) -> int:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115  # it outlives this call
        return self._file.fileno()

    def _shorten(self) -> None:
        if self._file is None:
            return
        if self._end:
            self._file.truncate(self._end)
        else:
            self._file.close()
            self._file = None


def _joined(ranges: list[Range]) -> list[Range]:
    """The same bytes, without two ranges next to each other."""
    joined: list[Range] = []
    for range in ranges:
        if joined and joined[-1].end == range.start:
            joined[-1] = Range(joined[-1].start, range.end)
        else:
            joined.append(range)
    return joined


def _write(file: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, at)
        view, at = view[written:], at + written
