"""What an error of Ollama means: it has a text and an HTTP status, and no code. In a stream it has a text alone."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from riverrun.dialects.blame import blamed, by_status
from riverrun.dialects.openai_failure import retry_after
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

STATUSES = {503: Cause.UPSTREAM_BUSY}
"""Its queue is full."""


class _Error(msgspec.Struct):
    error: str = ""


_decode = msgspec.json.Decoder(_Error).decode


def http_failure(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> Failure:
    """An HTTP error. `headers` has lower-case names."""
    try:
        message = _decode(body).error
    except (ValueError, RecursionError):
        message = ""
    cause = STATUSES.get(status) or by_status(status)
    return blamed(cause, target, status=status, message=message, wait=retry_after(headers))


def stream_failure(target: Target) -> Failure:
    """An error line under HTTP 200: the runner failed while it answered."""
    return blamed(Cause.UPSTREAM_ERROR, target)
