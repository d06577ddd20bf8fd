from __future__ import annotations

import json
from typing import Any

import pytest

from riverrun.dialects.gemini import Gemini
from riverrun.failures import Cause, Failure
from tests.dialects.asks import ask
from tests.dialects.speaking import at

SECRET = "key AIza-canary of project 42"


def failed(status: int, error: object, **headers: str) -> Failure:
    body = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
    return Gemini().failure(status, headers, body, ask(), at("gemini"))


def detail(kind: str, **members: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **members}


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": "bad"}, Cause.BAD_REQUEST),
        (
            400,
            {
                "status": "INVALID_ARGUMENT",
                "message": SECRET,
                "details": [detail("ErrorInfo", reason="API_KEY_INVALID")],
            },
            Cause.UPSTREAM_AUTH,
        ),
        (400, {"status": "FAILED_PRECONDITION", "message": SECRET}, Cause.UPSTREAM_AUTH),
        (401, {"status": "UNAUTHENTICATED", "message": SECRET}, Cause.UPSTREAM_AUTH),
        (403, {"status": "PERMISSION_DENIED", "message": SECRET}, Cause.UPSTREAM_AUTH),
        (404, {"status": "NOT_FOUND", "message": "models/x is not found"}, Cause.UNKNOWN_MODEL),
        (404, b"<html>", Cause.UPSTREAM_ERROR),
        (429, {"status": "RESOURCE_EXHAUSTED", "message": SECRET}, Cause.UPSTREAM_BUSY),
        (500, {"status": "INTERNAL", "message": SECRET}, Cause.UPSTREAM_ERROR),
        (503, {"status": "UNAVAILABLE", "message": SECRET}, Cause.UPSTREAM_BUSY),
        (504, {"status": "DEADLINE_EXCEEDED", "message": SECRET}, Cause.UPSTREAM_TIMEOUT),
        (499, {"status": "NEVER_HEARD_OF", "message": "m"}, Cause.BAD_REQUEST),
        (502, b"[]", Cause.UPSTREAM_ERROR),
    ],
)
def test_an_error_is_classified_by_reason_status_word_and_status(status: int, error: object, cause: Cause) -> None:
    failure = failed(status, error)
    assert failure.cause is cause
    assert "canary" not in failure.message


def test_a_list_of_one_error_is_read_too() -> None:
    failure = failed(429, json.dumps([{"error": {"status": "RESOURCE_EXHAUSTED", "message": "m"}}]).encode())
    assert failure.cause is Cause.UPSTREAM_BUSY


@pytest.mark.parametrize(("delay", "seconds"), [("34.5s", 34.5), ("7s", 7.0), ("soon", 3.0)])
def test_the_delay_stands_in_the_details_or_else_in_a_header(delay: str, seconds: float) -> None:
    error = {"status": "RESOURCE_EXHAUSTED", "details": [detail("Help"), detail("RetryInfo", retryDelay=delay)]}
    assert failed(429, error, **{"retry-after": "3"}).retry_after == seconds


def test_the_callers_own_mistakes_are_passed_on_in_the_upstreams_words() -> None:
    assert failed(400, {"status": "INVALID_ARGUMENT", "message": "Invalid schema"}).message == "Invalid schema"
    assert "400" in failed(400, {"status": "INVALID_ARGUMENT"}).message


def test_too_long_a_prompt_has_the_official_wording() -> None:
    message = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
    failure = failed(400, {"status": "INVALID_ARGUMENT", "message": message})
    assert (failure.cause, failure.param) == (Cause.CONTEXT_TOO_LONG, "messages")
    assert "maximum context length is 1048576 tokens. However, your messages resulted in 1200293" in failure.message
