"""The model folder: which files lie there, and what was found out about each.

A file's SHA-256 is computed once and remembered beside it (`NAME.gguf.json`), valid while size and time are the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import platformdirs

from riverrun.engine import catalogue
from riverrun.engine.catalogue import Row

BLOCK = 1024 * 1024

Progress = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes in all (None: not known yet)."""


class LocalModel(msgspec.Struct, frozen=True):
    """A model file on this machine. `row` is its catalogue row, None for a file that the catalogue does not know."""

    name: str
    path: Path
    size: int
    row: Row | None = None


class _Remembered(msgspec.Struct, frozen=True):
    sha256: str
    size: int
    mtime_ns: int


def default_folder() -> Path:
    """Where pulled models live: RIVERRUN_MODELS, or `models` in this user's cache folder."""
    chosen = os.environ.get("RIVERRUN_MODELS")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("riverrun") / "models"


def installed(folder: Path) -> list[LocalModel]:
    """The models in the folder, by name. Files that are still being fetched end in `.part` and are not among them."""
    models = [local_model(path) for path in folder.glob("*.gguf") if path.is_file()]
    return sorted(models, key=lambda model: model.name)


def local_model(path: Path) -> LocalModel:
    """A GGUF file as a model: named by the catalogue where it knows file name and size, else by the file."""
    size = path.stat().st_size
    row = catalogue.of_file(path.name, size)
    return LocalModel(row.name if row else path.stem, path, size, row)


def digest(path: Path, progress: Progress | None = None) -> str:
    """The file's SHA-256 in hex: the remembered one if the file is unchanged, else computed (seconds per GB)."""
    state = path.stat()
    known = _recall(path)
    if known is not None and (known.size, known.mtime_ns) == (state.st_size, state.st_mtime_ns):
        return known.sha256
    found = compute_digest(path, progress)
    remember(path, found)
    return found


def compute_digest(path: Path, progress: Progress | None = None) -> str:
    """The SHA-256 of the file's bytes, in hex."""
    total, done, hasher = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            hasher.update(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    return hasher.hexdigest()


def remember(path: Path, sha256: str) -> None:
    """Keeps a digest beside its file. A folder that can't be written costs the time to compute it again, no more."""
    state = path.stat()
    note = _Remembered(sha256, state.st_size, state.st_mtime_ns)
    with suppress(OSError):
        temporary = _note(path).with_suffix(f".{os.getpid()}")
        temporary.write_bytes(msgspec.json.encode(note))
        temporary.replace(_note(path))


def _recall(path: Path) -> _Remembered | None:
    try:
        return msgspec.json.decode(_note(path).read_bytes(), type=_Remembered)
    except (OSError, msgspec.DecodeError):
        return None


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")
