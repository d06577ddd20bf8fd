"""An answer that the host gives by itself, before any application saw the request: a failure as HTTP bytes."""

from __future__ import annotations

from http import HTTPStatus

from riverrun.failures import Failure
from riverrun.wire.errors import error_body, error_headers

Header = tuple[bytes, bytes]


def status_line(status: int) -> bytes:
    """`HTTP/1.1 404 Not Found\\r\\n`; a status without a known phrase gets none."""
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode("ascii"))


def refusal_headers(failure: Failure, request_id: str, body: bytes) -> list[Header]:
    """The headers of a JSON error after which the connection closes."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *error_headers(failure, request_id),
    ]


def refusal(failure: Failure, request_id: str, defaults: list[Header]) -> bytes:
    """The whole response. `defaults` are the host's own headers (date)."""
    body = error_body(failure, request_id=request_id)
    headers = defaults + refusal_headers(failure, request_id, body)
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return status_line(failure.status) + lines + b"\r\n" + body
