"""The head of an answer as bytes, line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

Header = tuple[bytes, bytes]

STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii")) for status in HTTPStatus
}
TOKEN = re.compile(rb"[^\x00-\x20\x7f()<>@,;:\[\]={}\\\"]+")
CONTROLS = bytes(code for code in (*range(32), 127) if code != ord("\t"))


def status_line(status: int) -> bytes:
    """`HTTP/1.1 404 Not Found\\r\\n`; a status without a known phrase gets none."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def header_lines(headers: Sequence[Header]) -> bytes:
    """A line for each. Raises ValueError for one that would be less, or more."""
    lines = b"".join([name + b": " + value + b"\r\n" for name, value in headers])
    ends = len(lines) - len(lines.translate(None, CONTROLS))  # a tenth of what a pattern takes to look at each byte
    if ends != 2 * len(headers) or not all([is_token(name) for name, _ in headers]):
        raise ValueError(f"among {[name for name, _ in headers]!r} is a character that no header may have")
    return lines


@lru_cache(maxsize=256)
def is_token(name: bytes) -> bool:
    """Whether a header may be called so."""
    return TOKEN.fullmatch(name) is not None
