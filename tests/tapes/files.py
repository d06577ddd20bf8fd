"""File tapes for tests, and a disk on which a chosen call fails."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import TypeVar

from riverrun.tapes.contract import Adopter, Listener, OwnTape
from riverrun.tapes.disk import At, Disk, Found
from riverrun.tapes.file import FileTapes
from riverrun.tapes.file_places import LOCK
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests.tapes.contract import Nobody
from tests.tapes.reader import Ears

T = TypeVar("T")


class Adopting:
    """Takes what it is given, and lets the test go on with it."""

    draining = False

    def __init__(self) -> None:
        self.tapes: dict[str, OwnTape] = {}
        self.changed = asyncio.Event()

    def adopt(self, tape: OwnTape) -> Listener:
        assert tape.head.id not in self.tapes
        self.tapes[tape.head.id] = tape
        self.changed.set()
        return Ears()


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """A folder for tapes, and one for sockets with a short path."""
    with tempfile.TemporaryDirectory(prefix="rr") as folder:
        yield Path(folder) / "tapes", Path(folder) / "s"


@asynccontextmanager
async def file_tapes(
    where: tuple[Path, Path],
    adopter: Adopter | None = None,
    *,
    seed: int = 1,
    disk: Disk | None = None,
    room: Room | None = None,
    retention: Retention | None = None,
    bound: int | None = None,
) -> AsyncIterator[FileTapes]:
    """One process's tapes, opened."""
    tapes = FileTapes(
        where[0],
        room or Room(1_000_000, 1_000_000),
        retention or Retention(),
        Random(seed),
        asyncio.get_running_loop().time,
        bound=bound,
        disk=disk,
        sockets=where[1],
    )
    try:
        await tapes.open_for(adopter or Nobody())
        yield tapes
    finally:
        await tapes.close()


def left_by_the_dead(root: Path, name: str, content: bytes, owner: str = "dead") -> Path:
    """A tape's file in the folder of a process that is dead."""
    folder = root / "live" / owner
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOCK).touch()
    (folder / name).write_bytes(content)
    return folder / name


class Failing(Disk):
    """Call number `at` fails with `code`, and all after it if it is `lasting`. A write may go in by half first."""

    def __init__(self, at: int, code: int, lasting: bool = False, half: bool = False) -> None:
        self.calls = 0
        self.failed = False
        self._at = at
        self._code = code
        self._lasting = lasting
        self._half = half

    def _try(self, call: Callable[..., T], *arguments: object) -> T:
        self.calls += 1
        if self.calls == self._at or (self._lasting and self.calls > self._at):
            self.failed = True
            raise OSError(self._code, os.strerror(self._code))
        return call(*arguments)

    def folder(self, path: Path) -> None:
        return self._try(super().folder, path)

    def open(self, path: At, flags: int = os.O_RDONLY) -> int:
        return self._try(super().open, path, flags)

    def append(self, file: int, pieces: Sequence[bytes]) -> int:
        try:
            return self._try(super().append, file, pieces)
        except OSError:
            whole = b"".join(pieces)
            if self._half:
                return super().append(file, [whole[: len(whole) // 2]])
            raise

    def read(self, file: int, size: int, start: int) -> bytes:
        return self._try(super().read, file, size, start)

    def truncate(self, file: int, size: int) -> None:
        return self._try(super().truncate, file, size)

    def lock(self, file: int) -> bool:
        return self._try(super().lock, file)

    def rename(self, old: At, new: At) -> None:
        return self._try(super().rename, old, new)

    def link(self, old: At, new: At) -> None:
        return self._try(super().link, old, new)

    def unlink(self, path: At) -> None:
        return self._try(super().unlink, path)

    def stamp(self, at: At | int, mtime: float) -> None:
        return self._try(super().stamp, at, mtime)

    def look(self, at: At | int) -> Found:
        return self._try(super().look, at)

    def names(self, folder: Path) -> list[str]:
        return self._try(super().names, folder)

    def files(self, folder: Path) -> Iterable[tuple[str, Found]]:
        return self._try(super().files, folder)
