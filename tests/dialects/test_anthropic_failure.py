from __future__ import annotations

import json

import pytest

from riverrun.dialects.anthropic import Anthropic
from riverrun.failures import Cause, Failure
from tests.dialects.anthropic_says import claude
from tests.dialects.asks import ask

SECRET = "sk-ant-canary at https://10.0.0.1/v1"


def failed(status: int, kind: str = "", message: str = SECRET, headers: dict[str, str] | None = None) -> Failure:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}).encode()
    return Anthropic().failure(status, headers or {}, body, ask(), claude())


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (401, "authentication_error", Cause.UPSTREAM_AUTH),
        (402, "billing_error", Cause.UPSTREAM_AUTH),
        (403, "permission_error", Cause.UPSTREAM_AUTH),
        (429, "rate_limit_error", Cause.UPSTREAM_BUSY),
        (529, "overloaded_error", Cause.UPSTREAM_BUSY),
        (529, "", Cause.UPSTREAM_BUSY),
        (500, "api_error", Cause.UPSTREAM_ERROR),
        (503, "something_new", Cause.UPSTREAM_ERROR),
        (504, "timeout_error", Cause.UPSTREAM_TIMEOUT),
    ],
)
def test_what_is_between_us_and_the_upstream_stays_there(status: int, kind: str, cause: Cause) -> None:
    failure = failed(status, kind)
    assert failure.cause is cause
    assert "canary" not in failure.message


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (400, "invalid_request_error", Cause.BAD_REQUEST),
        (404, "not_found_error", Cause.UNKNOWN_MODEL),
        (413, "request_too_large", Cause.TOO_LARGE),
    ],
)
def test_the_callers_own_mistakes_are_told(status: int, kind: str, cause: Cause) -> None:
    failure = failed(status, kind, "max_tokens: too many")
    assert (failure.cause, failure.message) == (cause, "max_tokens: too many")


def test_when_to_come_back() -> None:
    assert failed(429, "rate_limit_error", headers={"retry-after": "7"}).retry_after == 7


def test_a_prompt_that_is_too_long_has_the_official_wording() -> None:
    failure = failed(400, "invalid_request_error", "prompt is too long: 210266 tokens > 200000 maximum")
    assert failure.message == (
        "This model's maximum context length is 200000 tokens. However, your messages resulted in 210266 tokens. "
        "Please reduce the length of the messages."
    )
    assert (failure.param, failure.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"error":"x"}', b"[" * 100_000])
def test_a_body_of_another_form_leaves_the_status(body: bytes) -> None:
    assert Anthropic().failure(503, {}, body, ask(), claude()).cause is Cause.UPSTREAM_ERROR
    assert Anthropic().failure(404, {}, body, ask(), claude()).cause is Cause.UPSTREAM_ERROR
    assert "400" in Anthropic().failure(400, {}, body, ask(), claude()).message
