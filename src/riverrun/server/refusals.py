"""An answer that the host gives by itself, before any application saw the request: a failure as HTTP bytes."""

from __future__ import annotations

from riverrun.failures import Failure
from riverrun.server.lines import Header, header_lines, status_line
from riverrun.wire.errors import error_body, error_headers


def refusal_headers(failure: Failure, request_id: str, body: bytes) -> list[Header]:
    """The headers of a JSON error after which the connection closes."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *error_headers(failure, request_id),
    ]


def refusal(failure: Failure, request_id: str, defaults: bytes) -> bytes:
    """The whole response. `defaults` are the lines of the host's own headers (date)."""
    body = error_body(failure, request_id=request_id)
    lines = header_lines(refusal_headers(failure, request_id, body))
    return status_line(failure.status) + defaults + lines + b"\r\n" + body
