"""What an error of the Messages API means: by its type, then the status (https://platform.claude.com/docs/en/api/errors).

The API says that the words of a message may change; only a prompt that is too long is known by nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from riverrun.dialects.blame import blamed, by_status
from riverrun.dialects.context_length import too_long
from riverrun.dialects.openai_failure import retry_after
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

TYPES = {
    "invalid_request_error": Cause.BAD_REQUEST,
    "authentication_error": Cause.UPSTREAM_AUTH,
    "billing_error": Cause.UPSTREAM_AUTH,
    "permission_error": Cause.UPSTREAM_AUTH,
    "not_found_error": Cause.UNKNOWN_MODEL,
    "request_too_large": Cause.TOO_LARGE,
    "rate_limit_error": Cause.UPSTREAM_BUSY,
    "overloaded_error": Cause.UPSTREAM_BUSY,
    "timeout_error": Cause.UPSTREAM_TIMEOUT,
    "api_error": Cause.UPSTREAM_ERROR,
}


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""


class _Body(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def http_failure(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> Failure:
    """An HTTP error. `headers` has lower-case names."""
    return _failure(body, status, retry_after(headers), target)


def stream_failure(data: bytes, target: Target) -> Failure:
    """An error inside a stream, or in the place of a whole answer."""
    return _failure(data, None, None, target)


def _failure(body: bytes, status: int | None, wait: float | None, target: Target) -> Failure:
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, RecursionError):
        error = _Error()
    cause = TYPES.get(error.type) or by_status(status)
    known = too_long(error.message, target) if cause is Cause.BAD_REQUEST else None
    return known or blamed(cause, target, status=status, message=error.message, wait=wait)
