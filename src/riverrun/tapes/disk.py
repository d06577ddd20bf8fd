"""The few calls by which tapes touch the disk, in one place, so that each of them can fail on purpose.

Every one raises OSError. Nothing here waits: no fsync, no lock that blocks.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

At = Path | str
"""Where something lies. What happens to each tape gives it as a string: a Path costs as much as the call it is for."""


class Found(NamedTuple):
    """A file: its size in bytes, when it was changed (for tapes: when it expires) in Unix seconds, how many names it
    has, and what tells it from every other file."""

    size: int
    mtime: float
    names: int
    inode: tuple[int, int]


class Disk:
    """The real one. Files are for this user only."""

    def folder(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open(self, path: At, flags: int = os.O_RDONLY) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def append(self, file: int, pieces: Sequence[bytes]) -> int:
        """One write of all pieces; returns how many bytes went in, fewer on a disk that is full."""
        return os.writev(file, pieces)

    def read(self, file: int, size: int, start: int) -> bytes:
        return os.pread(file, size, start)

    def truncate(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def close(self, file: int) -> None:
        os.close(file)

    def lock(self, file: int) -> bool:
        """Whether it is ours from now on, until it is closed or we die."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def rename(self, old: At, new: At) -> None:
        os.rename(old, new)

    def link(self, old: At, new: At) -> None:
        """A second name; raises FileExistsError where the new one is taken: of several, one wins."""
        os.link(old, new)

    def unlink(self, path: At) -> None:
        os.unlink(path)

    def remove_folder(self, path: Path) -> None:
        path.rmdir()

    def stamp(self, at: At | int, mtime: float) -> None:
        os.utime(at, (mtime, mtime))

    def look(self, at: At | int) -> Found:
        return _found(os.stat(at))

    def names(self, folder: Path) -> list[str]:
        return os.listdir(folder)

    def files(self, folder: Path) -> Iterable[tuple[str, Found]]:
        """What is in a folder, one by one; what vanishes meanwhile is left out."""
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found = _found(entry.stat())
                except FileNotFoundError:
                    continue
                yield entry.name, found


def _found(stat: os.stat_result) -> Found:
    return Found(stat.st_size, stat.st_mtime, stat.st_nlink, (stat.st_dev, stat.st_ino))
