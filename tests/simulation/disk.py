"""The disk of one simulated process: it can be full for a while, and it dies with its process."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from riverrun.tapes.disk import At, Disk, Found
from riverrun.tapes.file_places import TAPE


class SimulatedDisk(Disk):
    """Lists in a fixed order. `files_open` are its descriptors."""

    def __init__(self) -> None:
        self.full = False
        self.dead = False
        self.files_open: dict[int, str] = {}
        self._written = -1  # the file that was written last

    def die(self, torn: bytes = b"") -> None:
        """The kernel closes what a dead process had open, and so frees its locks. `torn`: it died in a write."""
        if torn and self.files_open.get(self._written, "").endswith(TAPE):
            super().append(self._written, [torn])
        self.dead = True
        for file in self.files_open:
            os.close(file)
        self.files_open.clear()

    def folder(self, path: Path) -> None:
        self._judge()
        super().folder(path)

    def open(self, path: At, flags: int = os.O_RDONLY) -> int:
        self._judge(flags & os.O_CREAT)
        file = super().open(path, flags)
        self.files_open[file] = os.path.basename(path)
        return file

    def append(self, file: int, pieces: Sequence[bytes]) -> int:
        """On a full disk half of it goes in, as the last block of a disk takes what it can."""
        self._judge()
        self._written = file
        whole = b"".join(pieces)
        return super().append(file, [whole[: len(whole) // 2]] if self.full else pieces)

    def read(self, file: int, size: int, start: int) -> bytes:
        self._judge()
        return super().read(file, size, start)

    def truncate(self, file: int, size: int) -> None:
        self._judge()
        super().truncate(file, size)

    def close(self, file: int) -> None:
        self._judge()
        super().close(file)
        del self.files_open[file]
        if file == self._written:
            self._written = -1

    def lock(self, file: int) -> bool:
        self._judge()
        return super().lock(file)

    def rename(self, old: At, new: At) -> None:
        self._judge()
        super().rename(old, new)

    def link(self, old: At, new: At) -> None:
        self._judge(self.full)
        super().link(old, new)

    def unlink(self, path: At) -> None:
        self._judge()
        super().unlink(path)

    def remove_folder(self, path: Path) -> None:
        self._judge()
        super().remove_folder(path)

    def stamp(self, at: At | int, mtime: float) -> None:
        self._judge()
        super().stamp(at, mtime)

    def look(self, at: At | int) -> Found:
        self._judge()
        return super().look(at)

    def names(self, folder: Path) -> list[str]:
        self._judge()
        return sorted(super().names(folder))

    def files(self, folder: Path) -> list[tuple[str, Found]]:
        self._judge()
        return sorted(super().files(folder))

    def _judge(self, makes: int = 0) -> None:
        if self.dead:
            raise OSError(errno.EBADF, "its process is dead")
        if makes and self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
