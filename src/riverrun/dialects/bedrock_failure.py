"""What an error of Amazon Bedrock means: by the exception's name, then the status.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from riverrun.dialects.blame import blamed, by_status
from riverrun.dialects.context_length import too_long
from riverrun.dialects.openai_failure import retry_after
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target

EXCEPTIONS = {
    "validationexception": Cause.BAD_REQUEST,
    "accessdeniedexception": Cause.UPSTREAM_AUTH,
    "unrecognizedclientexception": Cause.UPSTREAM_AUTH,
    "expiredtokenexception": Cause.UPSTREAM_AUTH,
    "invalidsignatureexception": Cause.UPSTREAM_AUTH,
    "incompletesignatureexception": Cause.UPSTREAM_AUTH,
    "missingauthenticationtokenexception": Cause.UPSTREAM_AUTH,
    "resourcenotfoundexception": Cause.UNKNOWN_MODEL,
    "throttlingexception": Cause.UPSTREAM_BUSY,
    "servicequotaexceededexception": Cause.UPSTREAM_BUSY,
    "modelnotreadyexception": Cause.UPSTREAM_BUSY,
    "serviceunavailableexception": Cause.UPSTREAM_BUSY,
    "modeltimeoutexception": Cause.UPSTREAM_TIMEOUT,
    "modelerrorexception": Cause.UPSTREAM_ERROR,
    "modelstreamerrorexception": Cause.UPSTREAM_ERROR,
    "internalserverexception": Cause.UPSTREAM_ERROR,
}
"""By the name in lower case: a stream writes `throttlingException`, a header `ThrottlingException`."""


class _Told(msgspec.Struct, frozen=True):
    message: str = ""
    Message: str = ""  # the gateway in front of the service writes it so
    code: str = ""


def http_failure(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> Failure:
    """An HTTP error. `headers` has lower-case names; the exception's name may have an address after a colon."""
    name = headers.get("x-amzn-errortype", "").partition(":")[0]
    return _failure(name, _told(body), status, retry_after(headers), target)


def stream_failure(name: bytes, data: bytes, target: Target) -> Failure:
    """An exception inside a stream, by its event's name, or by the code of an event called `error`."""
    told = _told(data)
    return _failure(told.code or name.decode(errors="replace"), told, None, None, target)


def _failure(name: str, told: _Told, status: int | None, wait: float | None, target: Target) -> Failure:
    message = told.message or told.Message
    cause = EXCEPTIONS.get(name.lower()) or by_status(status)
    known = too_long(message, target) if cause is Cause.BAD_REQUEST else None
    return known or blamed(cause, target, status=status, message=message, wait=wait)


def _told(body: bytes) -> _Told:
    try:
        return msgspec.json.decode(body, type=_Told)
    except (msgspec.DecodeError, RecursionError):
        return _Told()
