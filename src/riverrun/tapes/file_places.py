"""Where things lie in the folder of file tapes, and how they come there whole.

format                       the version of all this
live/OWNER/ID.tape           written by a process that lives as long as it locks live/OWNER/.lock; no tape before its
                             first record is whole
ended/ID.tape                changed (mtime) when it expires, as everything below
keys/DIGEST                  the tape that an idempotency key names
gone/ID                      there was such a tape; holds its tenant's digest
stored/TENANT/CREATED-ID     for lists; changed (mtime) when it was made
metadata/ID                  what replaced a completion's own
notes/DIGEST
damaged/                     what was found and is not ours
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

from riverrun.tapes.contract import Head
from riverrun.tapes.disk import At, Disk
from riverrun.tapes.records import NewerFormat

VERSION = 1
TAPE = ".tape"
LOCK = ".lock"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LARGEST_SMALL = 1024 * 1024
MISSING = (FileNotFoundError, NotADirectoryError)
"""What is where a folder of ours could be need not be one."""


def digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class Places:
    """`owner` names this process among all that share the folder."""

    def __init__(self, root: Path, owner: str, disk: Disk) -> None:
        self.disk = disk
        self.owner = owner
        self.root = root
        self.live = root / "live"
        self.mine = self.live / owner
        self.ended = root / "ended"
        self.keys = root / "keys"
        self.gone = root / "gone"
        self.stored = root / "stored"
        self.metadata = root / "metadata"
        self.notes = root / "notes"
        self.damaged = root / "damaged"
        self._numbers = count()
        self._mine, self._ended = str(self.mine), str(self.ended)

    def prepare(self) -> None:
        """Makes what is missing. Raises NewerFormat where a later riverrun keeps its tapes, and OSError."""
        folders = (self.live, self.ended, self.keys, self.gone, self.stored, self.metadata, self.notes, self.damaged)
        for folder in (self.root, *folders):
            self.disk.folder(folder)
        path = self.root / "format"
        found = self.small(path)
        if found is None:
            new = self.root / f".format-{self.owner}"
            self._write(new, b"%d\n" % VERSION)
            with suppress(FileExistsError):
                self.disk.link(new, path)
            self.disk.unlink(new)
        elif not found.strip().isdigit():
            raise NewerFormat(f"{path} does not say a version; is {self.root} a folder of riverrun's tapes?")
        elif int(found) > VERSION:
            raise NewerFormat(
                f"The tapes in {self.root} have format {int(found)}, and this riverrun knows up to {VERSION}. "
                "Run the newer riverrun, or choose another folder."
            )

    def own(self, id: str) -> str:
        return f"{self._mine}/{id}{TAPE}"

    def kept(self, id: str) -> str:
        return f"{self._ended}/{id}{TAPE}"

    def marker(self, head: Head) -> Path:
        return self.stored / digest(head.tenant) / f"{head.created:012d}-{head.id}"

    def owners(self) -> Iterator[Path]:
        """The folders of all processes that have tapes here, dead or alive."""
        for name in self.disk.names(self.live):
            if PLAIN.fullmatch(name):
                yield self.live / name

    def find(self, id: str) -> Path | None:
        """A tape's file, whoever has it."""
        if not PLAIN.fullmatch(id):
            return None
        for _ in range(2):  # it may move on while we look
            for folder in (self.mine, *self.owners(), self.ended):
                path = folder / f"{id}{TAPE}"
                if self.exists(path):
                    return path
        return None

    def exists(self, path: Path) -> bool:
        return self.kept_until(path) > 0

    def kept_until(self, path: At) -> float:
        """When it expires, in Unix seconds; 0: it is not there."""
        try:
            return self.disk.look(path).mtime
        except MISSING:
            return 0.0

    def names(self, folder: Path) -> list[str]:
        """What is in a folder that need not be there."""
        try:
            return self.disk.names(folder)
        except MISSING:
            return []

    def is_gone(self, tenant: str, id: str, now: float) -> bool:
        """Whether it is known that this tenant had such a tape."""
        if not PLAIN.fullmatch(id):
            return False
        return self.kept_until(self.gone / id) > now and self.small(self.gone / id) == digest(tenant).encode()

    def small(self, path: Path) -> bytes | None:
        """The content of a small file; None: there is none."""
        try:
            file = self.disk.open(path)
        except MISSING:
            return None
        try:
            return self.disk.read(file, LARGEST_SMALL, 0)
        except IsADirectoryError:
            return None
        finally:
            self.disk.close(file)

    def put(self, path: At, data: bytes, until: float) -> None:
        """A small file, whole or not at all, in place of what was there."""
        new = self.written(data, until)
        self.disk.rename(new, path)

    def written(self, data: bytes, until: float) -> str:
        """A whole file that has no name yet that anybody looks for."""
        new = self.passing()
        try:
            self._write(new, data)
            self.disk.stamp(new, until)
        except OSError:
            self.drop(new)
            raise
        return new

    def passing(self) -> str:
        """A name for what is not complete. If we die, whoever takes over our folder removes it."""
        return f"{self._mine}/.new-{next(self._numbers)}"

    def drop(self, path: At) -> bool:
        """Removes a file. Whether it was there."""
        try:
            self.disk.unlink(path)
        except FileNotFoundError:
            return False
        return True

    def _write(self, path: At, data: bytes) -> None:
        file = self.disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            if self.disk.append(file, [data]) != len(data):
                raise full()
        finally:
            self.disk.close(file)


def full() -> OSError:
    """What a write that went in only in part means."""

    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
