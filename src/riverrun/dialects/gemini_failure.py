"""What an error of a Gemini house means: by its reason, then its status word, then its HTTP status.

The form is Google's for all its APIs: https://cloud.google.com/apis/design/errors (google.rpc.Status).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from riverrun.dialects.blame import blamed, by_status
from riverrun.dialects.context_length import too_long
from riverrun.dialects.openai_failure import retry_after
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

REASONS = {
    "API_KEY_INVALID": Cause.UPSTREAM_AUTH,  # comes as INVALID_ARGUMENT
    "API_KEY_EXPIRED": Cause.UPSTREAM_AUTH,
    "SERVICE_DISABLED": Cause.UPSTREAM_AUTH,
    "RATE_LIMIT_EXCEEDED": Cause.UPSTREAM_BUSY,
}
STATUSES = {
    "INVALID_ARGUMENT": Cause.BAD_REQUEST,
    "OUT_OF_RANGE": Cause.BAD_REQUEST,
    "FAILED_PRECONDITION": Cause.UPSTREAM_AUTH,  # our account may not do this: no billing, or not in this country
    "UNAUTHENTICATED": Cause.UPSTREAM_AUTH,
    "PERMISSION_DENIED": Cause.UPSTREAM_AUTH,
    "NOT_FOUND": Cause.UNKNOWN_MODEL,
    "RESOURCE_EXHAUSTED": Cause.UPSTREAM_BUSY,
    "UNAVAILABLE": Cause.UPSTREAM_BUSY,
    "ABORTED": Cause.UPSTREAM_BUSY,
    "DEADLINE_EXCEEDED": Cause.UPSTREAM_TIMEOUT,
    "INTERNAL": Cause.UPSTREAM_ERROR,
    "UNKNOWN": Cause.UPSTREAM_ERROR,
}


class _Detail(msgspec.Struct, rename="camel"):
    """An ErrorInfo has a reason, a RetryInfo a delay such as "34.5s"."""

    reason: str | None = None
    retry_delay: str | None = None


class _Error(msgspec.Struct):
    message: str = ""
    status: str = ""
    code: int | None = None
    details: list[_Detail] = []


class _Envelope(msgspec.Struct):
    error: _Error = msgspec.field(default_factory=_Error)


_decode = msgspec.json.Decoder(list[_Envelope]).decode


def http_failure(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> Failure:
    """An HTTP error. `headers` has lower-case names."""
    error = _error(body)
    return _failure(error, status, _delay(error) or retry_after(headers), target)


def stream_failure(data: bytes, target: Target) -> Failure:
    """An error inside a stream, or a whole answer that is one."""
    error = _error(data)
    return _failure(error, error.code, _delay(error), target)


def _failure(error: _Error, status: int | None, wait: float | None, target: Target) -> Failure:
    reasons = (REASONS.get(detail.reason or "") for detail in error.details)
    cause = next((cause for cause in reasons if cause is not None), None)
    cause = cause or STATUSES.get(error.status) or by_status(status)
    known = too_long(error.message, target) if cause is Cause.BAD_REQUEST else None
    return known or blamed(cause, target, status=status, message=error.message, wait=wait)


def _delay(error: _Error) -> float | None:
    """Seconds to wait, as a protobuf Duration says them."""
    for detail in error.details:
        number = (detail.retry_delay or "").removesuffix("s")
        if len(number) < 16 and number.replace(".", "", 1).isdecimal():
            return float(number)
    return None


def _error(body: bytes) -> _Error:
    """The error in a body: an object, or a list of one where a stream was asked for."""
    try:
        found = _decode(body if body.lstrip()[:1] == b"[" else b"[%b]" % body)
    except (ValueError, RecursionError):
        found = []
    return found[0].error if found else _Error()
