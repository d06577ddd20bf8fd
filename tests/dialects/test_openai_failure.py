from __future__ import annotations

import json
from typing import Any

import pytest

from riverrun.dialects.openai import OpenAI
from riverrun.dialects.openai_failure import retry_after
from riverrun.failures import Cause, Failure
from tests.dialects.asks import ask, engine, reader, target

SECRET = "sk-canary at https://10.0.0.1/v1"


def failed(status: int, error: object = None, headers: dict[str, str] | None = None, **body: Any) -> Failure:
    raw = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()
    return OpenAI().failure(status, headers or {}, raw, ask(**body), engine(context=4096))


@pytest.mark.parametrize(
    ("status", "error", "cause"),
    [
        (400, {"message": "bad", "type": "invalid_request_error"}, Cause.BAD_REQUEST),
        (422, {"message": "bad"}, Cause.BAD_REQUEST),
        (418, {"message": "bad"}, Cause.BAD_REQUEST),
        (401, {"message": SECRET, "type": "invalid_request_error", "code": "invalid_api_key"}, Cause.UPSTREAM_AUTH),
        (403, {"message": SECRET}, Cause.UPSTREAM_AUTH),
        (402, {"message": SECRET}, Cause.UPSTREAM_AUTH),
        (404, {"message": "no such model", "code": "model_not_found"}, Cause.UNKNOWN_MODEL),
        (404, b"<html>nginx</html>", Cause.UPSTREAM_ERROR),
        (408, b"", Cause.UPSTREAM_TIMEOUT),
        (413, {"message": "too large"}, Cause.TOO_LARGE),
        (429, {"message": SECRET, "code": 429}, Cause.UPSTREAM_BUSY),
        (429, {"message": SECRET, "code": "insufficient_quota"}, Cause.UPSTREAM_AUTH),
        (529, {"type": "overloaded_error", "message": SECRET}, Cause.UPSTREAM_BUSY),
        (500, {"message": SECRET, "type": "server_error"}, Cause.UPSTREAM_ERROR),
        (503, b"not json", Cause.UPSTREAM_ERROR),
        (504, b"", Cause.UPSTREAM_TIMEOUT),
        (400, {"message": "x", "code": "context_length_exceeded"}, Cause.CONTEXT_TOO_LONG),
        (400, {"message": "x", "code": "content_filter"}, Cause.CONTENT_POLICY),
        (400, {"message": SECRET, "code": "tool_use_failed"}, Cause.UPSTREAM_MALFORMED),
    ],
)
def test_an_error_is_classified_by_code_type_and_status(status: int, error: object, cause: Cause) -> None:
    failure = failed(status, error)
    assert failure.cause is cause
    assert "canary" not in failure.message
    assert "10.0.0.1" not in failure.message
    assert failure.code is None or isinstance(failure.code, str)


def test_the_callers_own_mistakes_are_passed_on_in_the_upstreams_words() -> None:
    error = {"message": "Invalid 'temperature'", "type": "invalid_request_error", "param": "temperature", "code": "x"}
    failure = failed(400, error)
    assert (failure.message, failure.param, failure.code) == ("Invalid 'temperature'", "temperature", "x")
    assert failed(400, {"message": "m", "code": 400}).code is None
    assert failed(400, "just text").message == "just text"
    assert "400" in failed(400, {}).message


def test_too_long_a_prompt_has_the_official_wording() -> None:
    error = {"code": 400, "message": "m", "type": "exceed_context_size_error", "n_prompt_tokens": 9031, "n_ctx": 8192}
    failure = failed(400, error)
    assert failure.message == (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9031 tokens. "
        "Please reduce the length of the messages."
    )
    assert (failure.param, failure.code, failure.status) == ("messages", "context_length_exceeded", 400)


def test_a_schema_that_the_engine_refuses_is_the_parameters_that_brought_it() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert failed(400, {"message": "m"}, response_format=wanted).param == "response_format"
    assert failed(400, {"message": "m"}).param is None
    tools = [{"type": "function", "function": {"name": "f"}}]
    to = engine(tools="schema")
    assert OpenAI().failure(400, {}, b'{"error":{"message":"m"}}', ask(tools=tools), to).param == "tools"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "20", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:29:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after_in_its_three_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds
    assert failed(429, {"message": "x"}, headers).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b'{"error":{"message":"x","code":429}}', Cause.UPSTREAM_BUSY),
        (b'{"error":{"message":"x","status_code":400,"type":"invalid_request_error"}}', Cause.BAD_REQUEST),
        (b'{"error":{"message":"x","type":"invalid_request_error"}}', Cause.BAD_REQUEST),
        (b'{"error":{"message":"x","code":"rate_limit_exceeded"}}', Cause.UPSTREAM_BUSY),
        (b'{"error":"x"}', Cause.UPSTREAM_ERROR),
        (b'{"error":{"message":"x","code":7}}', Cause.UPSTREAM_ERROR),
    ],
)
def test_an_error_under_status_200_has_its_status_inside(body: bytes, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        reader(target()).whole(body)
    assert caught.value.cause is cause
