"""A failure as the client reads it: the official error object, with riverrun's own facts beside it."""

from __future__ import annotations

import msgspec

from riverrun.failures import Failure
from riverrun.wire.jsonvalue import JsonValue


def error_object(
    failure: Failure, *, request_id: str | None = None, stream_id: str | None = None, last_seq: int | None = None
) -> dict[str, JsonValue]:
    """`{"error": …}` with the four official keys (all required), and `riverrun`: which request, what was tried.

    `stream_id` and `last_seq` say where a broken stream stands, for a reader that wants the rest of it.
    """
    facts: dict[str, JsonValue] = {
        "request_id": request_id,
        "attempts": [{"target": attempt.target, "cause": attempt.cause} for attempt in failure.attempts],
    }
    if stream_id is not None:
        facts |= {"stream_id": stream_id, "last_seq": last_seq}
    return {
        "error": {
            "message": failure.message,
            "type": failure.type,
            "param": failure.param,
            "code": failure.code,
            "riverrun": facts,
        }
    }


def error_body(
    failure: Failure, *, request_id: str | None = None, stream_id: str | None = None, last_seq: int | None = None
) -> bytes:
    """The error object as JSON on one line: an HTTP body, or the data of the error frame (E3)."""
    return msgspec.json.encode(error_object(failure, request_id=request_id, stream_id=stream_id, last_seq=last_seq))


def error_headers(failure: Failure, request_id: str) -> list[tuple[bytes, bytes]]:
    """The headers that SDKs read on an error: which request, whether to try again, and when (whole seconds)."""
    headers = [
        (b"x-request-id", request_id.encode("ascii")),
        (b"x-should-retry", b"true" if failure.retry else b"false"),
    ]
    if failure.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, round(min(120.0, failure.retry_after)))))
    return headers
