"""The head of an answer as bytes, line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

Header = tuple[bytes, bytes]

STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode("ascii")) for status in HTTPStatus
}
LINES = re.compile(rb"(?:[^\x00-\x20\x7f()<>@,;:\[\]={}\\\"]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)*")


def status_line(status: int) -> bytes:
    """`HTTP/1.1 404 Not Found\\r\\n`; a status without a known phrase gets none."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def header_lines(headers: Sequence[Header]) -> bytes:
    """A line for each. Raises ValueError for one that would be less, or more."""
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") != len(headers) or not LINES.fullmatch(lines):
        raise ValueError(f"among {[name for name, _ in headers]!r} is a character that no header may have")
    return lines
