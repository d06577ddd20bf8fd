"""One URL to one file: resumed after a break, checked, and put in its place in one step.

Bytes gather in `NAME.part`. A break asks for the rest with a Range; a server that ignores it, or has another version
by now, starts over. A file is never seen under its own name before its size and SHA-256 are right.
"""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import urllib3

from riverrun.engine.errors import SourceFailed
from riverrun.engine.folder import Progress, compute_digest
from riverrun.engine.web import BLOCK, Headers, Web

FRUITLESS = 5
"""Breaks in a row without a single new byte, after which a source is given up."""
LONGEST_PAUSE = 8.0

Sleep = Callable[[float], None]


class Expected(msgspec.Struct, frozen=True):
    """What is known of the file before it comes: its size in bytes and its SHA-256."""

    size: int | None = None
    sha256: str | None = None


class DiskFull(SourceFailed):
    """No room; another source would not help."""


class _Broken(Exception):
    """The connection broke: what came so far is kept, and the rest is asked for."""


def download(web: Web, url: str, part: Path, expected: Expected, progress: Progress, sleep: Sleep = time.sleep) -> None:
    """Fills `part` with the whole file and checks it. Raises SourceFailed; the part is kept unless it is wrong."""
    fruitless, pause = 0, 0.5
    while True:
        before = _size(part)
        try:
            _attempt(web, url, part, expected, progress)
            break
        except _Broken as broken:
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless == FRUITLESS:
                raise SourceFailed(f"the connection broke {FRUITLESS} times in a row ({broken})") from None
            pause = 0.5 if fruitless == 0 else min(pause * 2, LONGEST_PAUSE)
            sleep(pause)
    check(part, expected)
    _tag(part).unlink(missing_ok=True)


def check(part: Path, expected: Expected) -> None:
    """Raises SourceFailed, and deletes the file, unless it has the expected size and SHA-256."""
    size = _size(part)
    if expected.size is not None and size != expected.size:
        part.unlink()
        raise SourceFailed(f"it sent {size} bytes, where the file has {expected.size}")
    if expected.sha256 is not None and (found := compute_digest(part)) != expected.sha256:
        part.unlink()
        raise SourceFailed(f"it sent other bytes: SHA-256 {found}, where the file has {expected.sha256}")


def no_room(part: Path, size: int | None) -> DiskFull:
    """The error of a full disk, in words that say how much is missing."""
    missing = "" if size is None else f"; {(size - _size(part)) / 1e6:.0f} MB more are needed"
    return DiskFull(f"the disk of {part.parent} is full{missing}. What came so far is kept: run it again after")


def _attempt(web: Web, url: str, part: Path, expected: Expected, progress: Progress) -> None:
    """One request. Returns when the body ended where it should; raises _Broken where more is to come."""
    have = _size(part)
    if expected.size is not None and have >= expected.size:
        if have == expected.size:
            return
        have = 0
    response = web.open(url, _range(part, have, expected))
    try:
        start = _start(response, have)
        if start is None:  # 416: what we have is not a beginning of what they have
            part.unlink()
            raise _Broken("it refused to go on")
        total = _total(response, start)
        _check_total(total, expected)
        if start == 0:
            _keep_tag(part, response)
        _make_room(part, total, start)
        _receive(response, part, start, total, progress)
    finally:
        response.close()


def _receive(response: urllib3.BaseHTTPResponse, part: Path, start: int, total: int | None, progress: Progress) -> None:
    done = start
    try:
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while block := response.read1(BLOCK):  # what has come, so that a break loses nothing
                file.write(block)
                done += len(block)
                progress(done, total)
    except urllib3.exceptions.HTTPError as error:
        raise _Broken(type(error).__name__) from None
    except OSError as error:
        raise (no_room(part, total) if error.errno == errno.ENOSPC else error) from None
    if total is not None and done < total:
        raise _Broken(f"it ended {total - done} bytes early")


def _range(part: Path, have: int, expected: Expected) -> Headers:
    """The rest is asked for only where two versions can't be joined: a known digest or a strong tag sees to that."""
    if not have:
        return {}
    if expected.sha256 is not None:
        return {"range": f"bytes={have}-"}
    tag = _tag(part)
    return {"range": f"bytes={have}-", "if-range": tag.read_text(encoding="utf-8")} if tag.exists() else {}


def _start(response: urllib3.BaseHTTPResponse, have: int) -> int | None:
    """Where the body begins in the file; None where the server refuses the range."""
    if response.status == 206:
        match = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
        if match is None or int(match[1]) != have:
            raise SourceFailed("it answered a range that was not asked for")
        return have
    if response.status == 416 and have:
        return None
    if response.status != 200:
        raise SourceFailed(f"it answered {response.status}")
    return 0


def _total(response: urllib3.BaseHTTPResponse, start: int) -> int | None:
    length = response.headers.get("content-length", "")
    return start + int(length) if length.isdecimal() else None


def _check_total(total: int | None, expected: Expected) -> None:
    if expected.size is not None and total is not None and total != expected.size:
        raise SourceFailed(f"its file has {total} bytes, where {expected.size} are right")


def _make_room(part: Path, total: int | None, start: int) -> None:
    if total is not None and shutil.disk_usage(part.parent).free < total - start:
        raise no_room(part, total)


def _keep_tag(part: Path, response: urllib3.BaseHTTPResponse) -> None:
    """Remembers a strong ETag, so that a later resume can't join two versions (If-Range, RFC 9110 13.1.5)."""
    tag = response.headers.get("etag", "")
    if tag.startswith('"'):
        _tag(part).write_text(tag, encoding="utf-8")
    else:
        _tag(part).unlink(missing_ok=True)


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
