"""Everything that can go wrong, and what the client is told about it.

One tree with one class. A failure is classified by its cause, never by the text of a message:

    Failure
    ├─ whose fault is it?   Cause.fault       the client, the upstream, or us
    ├─ may it be retried?   Cause.retry       becomes `x-should-retry`
    └─ what is the client told?               status, type, code, param, message

This module knows no HTTP library and no provider; the wire shape of an error is `wire.errors`.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

import msgspec

Fault = Literal["client", "upstream", "server"]


class Rule(NamedTuple):
    """What a cause means: whose fault, the HTTP status before headers, and the error's type and code."""

    fault: Fault
    status: int
    type: str
    code: str | None
    retry: bool


class Cause(Enum):
    """Why a request failed. The value is the whole rule; see the failures table in docs/architecture.md."""

    BAD_REQUEST = Rule("client", 400, "invalid_request_error", None, retry=False)
    CONTEXT_TOO_LONG = Rule("client", 400, "invalid_request_error", "context_length_exceeded", retry=False)
    UNKNOWN_MODEL = Rule("client", 404, "invalid_request_error", "model_not_found", retry=False)
    UNKNOWN_URL = Rule("client", 404, "invalid_request_error", "unknown_url", retry=False)
    WRONG_METHOD = Rule("client", 405, "invalid_request_error", "method_not_supported", retry=False)
    BAD_KEY = Rule("client", 401, "invalid_request_error", "invalid_api_key", retry=False)
    FORBIDDEN = Rule("client", 403, "invalid_request_error", "forbidden", retry=False)
    TOO_LARGE = Rule("client", 413, "invalid_request_error", "request_too_large", retry=False)
    TOO_SLOW = Rule("client", 408, "invalid_request_error", "request_timeout", retry=True)
    CONTENT_POLICY = Rule("client", 400, "invalid_request_error", "content_policy_violation", retry=False)
    UPSTREAM_AUTH = Rule("upstream", 502, "upstream_error", "upstream_auth_error", retry=False)
    UPSTREAM_BUSY = Rule("upstream", 429, "rate_limit_error", "rate_limit_exceeded", retry=True)
    UPSTREAM_UNREACHABLE = Rule("upstream", 502, "upstream_error", "upstream_unreachable", retry=True)
    UPSTREAM_ERROR = Rule("upstream", 502, "upstream_error", "upstream_error", retry=True)
    UPSTREAM_INTERRUPTED = Rule("upstream", 502, "upstream_error", "upstream_interrupted", retry=True)
    UPSTREAM_MALFORMED = Rule("upstream", 502, "upstream_error", "upstream_malformed", retry=True)
    UPSTREAM_TIMEOUT = Rule("upstream", 504, "upstream_error", "upstream_timeout", retry=True)
    OVERLOADED = Rule("server", 503, "server_error", "server_overloaded", retry=True)
    STORAGE = Rule("server", 503, "server_error", "storage_unavailable", retry=True)
    UNKNOWN_ID = Rule("client", 404, "invalid_request_error", "not_found", retry=False)
    EXPIRED = Rule("client", 410, "invalid_request_error", "expired", retry=False)
    KEY_REUSED = Rule("client", 422, "invalid_request_error", "idempotency_key_reused", retry=False)
    INTERNAL = Rule("server", 500, "server_error", "internal_error", retry=False)


class Attempt(msgspec.Struct, frozen=True):
    """One upstream call that failed: which target, and the cause's name in lower case."""

    target: str
    cause: str


class Failure(Exception):
    """A classified failure.

    `message` says what was wrong, where, and what to do; it is shown to the client, so it holds no key, no
    upstream URL and no prompt. `param` is the path of the offending parameter, `retry_after` is in seconds.
    `status`, `code`, `type` and `retry` default to the cause's; a provider's own words, for one, are passed on.
    """

    def __init__(
        self,
        cause: Cause,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        type: str | None = None,
        status: int | None = None,
        retry: bool | None = None,
        retry_after: float | None = None,
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(message)
        rule = cause.value
        self.cause = cause
        self.message = message
        self.param = param
        self.code = code if code is not None else rule.code
        self.type = type if type is not None else rule.type
        self.status = status if status is not None else rule.status
        self.retry = retry if retry is not None else rule.retry
        self.retry_after = retry_after
        self.attempts = attempts


class Told(msgspec.Struct, frozen=True):
    """A Failure that can be written: on a tape, or to another process. `cause` is its name."""

    cause: str
    message: str
    param: str | None
    code: str | None
    type: str
    status: int
    retry: bool
    retry_after: float | None
    attempts: tuple[Attempt, ...]

    @classmethod
    def of(cls, failure: Failure) -> Told:
        return cls(
            failure.cause.name,
            failure.message,
            failure.param,
            failure.code,
            failure.type,
            failure.status,
            failure.retry,
            failure.retry_after,
            failure.attempts,
        )

    def failure(self) -> Failure:
        """The same again; a cause that only a later riverrun has is a fault of ours here, in its own words."""
        return Failure(
            Cause.__members__.get(self.cause, Cause.INTERNAL),
            self.message,
            param=self.param,
            code=self.code,
            type=self.type,
            status=self.status,
            retry=self.retry,
            retry_after=self.retry_after,
            attempts=self.attempts,
        )


def bad_request(message: str, param: str | None = None, code: str | None = None) -> Failure:
    """A 400 in the official shape: the caller sent something that can never work."""
    return Failure(Cause.BAD_REQUEST, message, param=param, code=code)
