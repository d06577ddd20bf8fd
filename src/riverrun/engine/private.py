"""The private folder of an engine process: ours alone, short enough for a socket's path, and gone with its owner.

The owner holds a lock on the folder itself, which the kernel takes back even when the owner is killed: a folder that
nobody holds is a dead owner's, and the next one removes it. Where there are no such locks (Windows) it stays.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PREFIX = "riverrun-engine-"
LONGEST = 90
"""Bytes; a Unix socket's whole path has at most 107 on Linux and 103 on macOS."""
RANDOM_PART = 9
"""Bytes that `mkdtemp` adds to the prefix, and the slash before it."""


class PrivateFolder:
    """A new folder that only this user can enter (0700), locked until `remove`. Raises OSError.

    `base`: where it lies; by default where even the path of a socket in it is short.
    """

    def __init__(self, base: Path | None = None) -> None:
        base = base or _base()
        sweep(base)
        self.path, self._lock = _new(base)

    @property
    def lock(self) -> tuple[int, ...]:
        """What a process of ours inherits so that the folder has an owner for as long as that one lives."""
        return (self._lock,) if self._lock is not None else ()

    def remove(self) -> None:
        """The folder and what is in it; may be called more than once."""
        shutil.rmtree(self.path, ignore_errors=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def _base() -> Path:
    """Where the session keeps such things, or the folder for temporary files, or /tmp where those are too deep."""
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        if os.path.isdir(base) and len(os.fsencode(base)) + len(PREFIX) + RANDOM_PART <= LONGEST:
            return Path(base)
    return Path("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir())


def _new(base: Path) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        with suppress(FileNotFoundError, BlockingIOError):  # swept in the moment before it was locked
            return folder, _locked(folder)


def sweep(base: Path) -> None:
    """Removes the folders in `base` that nobody holds any more: their owners were killed."""
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it has an owner, or is another user's
            if (lock := _locked(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _locked(folder: Path) -> int | None:
    """The lock on this user's folder, as a descriptor; None where there are no locks.

    Raises BlockingIOError where another has it, FileNotFoundError where the folder is gone.
    """
    if sys.platform == "win32":
        return None
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "another user's folder", str(folder))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
