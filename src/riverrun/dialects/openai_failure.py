"""What an error of an OpenAI-like upstream means: by code, then type, then status; never by the words of its message.

The client is told the upstream's own words only where the client can act on them. What is between riverrun and the
upstream (its key, its URL, its account) stays there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

import msgspec

from riverrun.dialects.rows import Row
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.options import JsonSchemaResponse
from riverrun.wire.request import Chat

LONGEST_MESSAGE = 2000

BAD_IMAGES = (
    "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "invalid_image_mode",
    "image_too_large", "image_too_small", "image_parse_error", "image_file_too_large", "image_file_not_found",
    "unsupported_image_media_type", "empty_image_file", "failed_to_download_image",
)  # fmt: skip
CODES = {
    "context_length_exceeded": Cause.CONTEXT_TOO_LONG,
    "model_not_found": Cause.UNKNOWN_MODEL,
    "content_policy_violation": Cause.CONTENT_POLICY,
    "content_filter": Cause.CONTENT_POLICY,
    "invalid_prompt": Cause.CONTENT_POLICY,  # this one and the next three: of a response that failed
    "bio_policy": Cause.CONTENT_POLICY,
    "misalignment_policy_violation": Cause.CONTENT_POLICY,
    "image_content_policy_violation": Cause.CONTENT_POLICY,
    **dict.fromkeys(BAD_IMAGES, Cause.BAD_REQUEST),
    "invalid_api_key": Cause.UPSTREAM_AUTH,
    "insufficient_quota": Cause.UPSTREAM_AUTH,  # our account's, not the caller's
    "rate_limit_exceeded": Cause.UPSTREAM_BUSY,
    "server_error": Cause.UPSTREAM_ERROR,
    "tool_use_failed": Cause.UPSTREAM_MALFORMED,  # Groq: its model wrote a call that is none
}
TYPES = {
    "exceed_context_size_error": Cause.CONTEXT_TOO_LONG,  # llama.cpp
    "overloaded_error": Cause.UPSTREAM_BUSY,
    "rate_limit_error": Cause.UPSTREAM_BUSY,
    "authentication_error": Cause.UPSTREAM_AUTH,
    "permission_error": Cause.UPSTREAM_AUTH,
}
STATUSES = {
    400: Cause.BAD_REQUEST,
    401: Cause.UPSTREAM_AUTH,
    402: Cause.UPSTREAM_AUTH,  # no credit left (OpenRouter, DeepSeek)
    403: Cause.UPSTREAM_AUTH,
    404: Cause.UNKNOWN_MODEL,
    408: Cause.UPSTREAM_TIMEOUT,
    413: Cause.TOO_LARGE,
    422: Cause.BAD_REQUEST,
    429: Cause.UPSTREAM_BUSY,
    498: Cause.UPSTREAM_BUSY,  # Groq: no flex capacity
    504: Cause.UPSTREAM_TIMEOUT,
    529: Cause.UPSTREAM_BUSY,
}
LAST_TYPES = {"invalid_request_error": Cause.BAD_REQUEST}
"""Types that say little, for errors inside a stream, which have no status."""

TOLD = {
    Cause.UPSTREAM_AUTH: "The upstream of '{model}' refused this server's credentials. Its operator must mend them.",
    Cause.UPSTREAM_BUSY: "The upstream of '{model}' is busy or over its rate limit. Please try again later.",
    Cause.UPSTREAM_TIMEOUT: "The upstream of '{model}' did not answer in time. Please try again.",
    Cause.UPSTREAM_MALFORMED: "The model '{model}' wrote a tool call that is none. Please try again.",
    Cause.UPSTREAM_ERROR: "The upstream of '{model}' failed{status}. Please try again.",
}


class _Error(msgspec.Struct, frozen=True):
    """The error object, as far as it could be understood."""

    fields: dict[str, JsonValue]

    def text(self, name: str) -> str | None:
        value = self.fields.get(name)
        return value[:LONGEST_MESSAGE] if isinstance(value, str) and value else None

    def number(self, *names: str) -> int | None:
        values = (self.fields.get(name) for name in names)
        return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def http_failure(status: int, headers: Mapping[str, str], body: bytes, chat: Chat, target: Target, row: Row) -> Failure:
    """An HTTP error. `headers` has lower-case names."""
    error = _error(body)
    failure = _failure(error, status, retry_after(headers), target)
    if failure.cause is Cause.BAD_REQUEST and failure.param is None and row.schemas == "checked":
        failure.param = _schema_param(chat, target)
    return failure


def stream_failure(data: bytes, target: Target) -> Failure:
    """An error inside a stream, or a whole answer that is one. Its status is in the object, if anywhere."""
    error = _error(data)
    status = error.number("status_code", "status", "code")
    return _failure(error, status if status is not None and 400 <= status < 600 else None, None, target)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: `retry-after-ms`, or `retry-after` in seconds or as a date, read against the answer's own."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _number(value)
    until, now = _date(value), _date(headers.get("date", ""))
    if seconds is None and until is not None and now is not None:
        return max(0.0, until.timestamp() - now.timestamp())
    return seconds


def _failure(error: _Error, status: int | None, wait: float | None, target: Target) -> Failure:
    cause = _cause(error, status)
    if cause.value.fault == "upstream":
        shown = f" (status {status})" if status is not None else ""
        return Failure(cause, TOLD[cause].format(model=target.name, status=shown), retry_after=wait)
    message = error.text("message") or f"The upstream refused the request with status {status} and did not say why."
    param = error.text("param")
    if cause is Cause.CONTEXT_TOO_LONG:
        message, param = _too_long(error, target) or message, param or "messages"
        return Failure(cause, message, param=param)
    return Failure(cause, message, param=param, code=error.text("code"), type=error.text("type"))


def _cause(error: _Error, status: int | None) -> Cause:
    kind = error.text("type") or ""
    cause = (
        CODES.get(error.text("code") or "")
        or TYPES.get(kind)
        or (STATUSES.get(status, Cause.BAD_REQUEST if status < 500 else Cause.UPSTREAM_ERROR) if status else None)
        or LAST_TYPES.get(kind, Cause.UPSTREAM_ERROR)
    )
    if cause is Cause.UNKNOWN_MODEL and not error.text("message"):
        return Cause.UPSTREAM_ERROR  # a 404 of no API: the target's address is wrong
    return cause


def _too_long(error: _Error, target: Target) -> str | None:
    """The official wording, which many agents read with a pattern, where the upstream gave the numbers."""
    most, given = error.number("n_ctx") or target.context, error.number("n_prompt_tokens")
    if most is None or given is None:
        return None
    return (
        f"This model's maximum context length is {most} tokens. However, your messages resulted in {given} tokens. "
        "Please reduce the length of the messages."
    )


def _schema_param(chat: Chat, target: Target) -> str | None:
    """Which parameter brought the schema: the engine refuses one without saying whose it was."""
    if target.tools == "schema" and chat.request.tools and chat.request.tool_choice != "none":
        return "tools"
    return "response_format" if isinstance(chat.request.response_format, JsonSchemaResponse) else None


def _error(body: bytes) -> _Error:
    """The error object in a body: `{"error": {…}}`, `{"error": "…"}`, or the fields at the top (vLLM)."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _Error({})
    inner = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(inner, str):
        return _Error({"message": inner})
    return _Error(inner if isinstance(inner, dict) else {})


def _number(text: str) -> float | None:
    """A number of a sane length: a longer one would be infinite, and nobody waits that long."""
    return float(text) if len(text) < 12 and text.replace(".", "", 1).isdecimal() and text.isascii() else None


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
