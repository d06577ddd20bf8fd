"""What an error of Cohere means: it has a text and an HTTP status (https://docs.cohere.com/reference/errors)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from riverrun.dialects.blame import blamed, by_status
from riverrun.dialects.context_length import too_long
from riverrun.dialects.openai_failure import retry_after
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

STATUSES = {
    498: Cause.CONTENT_POLICY,  # the request or the answer holds a word on its list
    499: Cause.UPSTREAM_ERROR,  # it says that we left, and we are still here
    503: Cause.UPSTREAM_BUSY,
}


class _Error(msgspec.Struct):
    message: str = ""


_decode = msgspec.json.Decoder(_Error).decode


def http_failure(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> Failure:
    """An HTTP error. `headers` has lower-case names."""
    try:
        message = _decode(body).message
    except (ValueError, RecursionError):
        message = ""
    cause = STATUSES.get(status) or by_status(status)
    known = too_long(message, target) if cause is Cause.BAD_REQUEST else None
    return known or blamed(cause, target, status=status, message=message, wait=retry_after(headers))
