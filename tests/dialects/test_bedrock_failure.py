from __future__ import annotations

import json

import pytest

from riverrun.dialects.bedrock import Bedrock
from riverrun.dialects.bedrock_failure import stream_failure
from riverrun.failures import Cause, Failure
from tests.dialects.asks import ask
from tests.dialects.bedrock_says import hosted

SECRET = "arn:aws:canary"


def failed(status: int, name: str = "", message: str = SECRET, key: str = "message") -> Failure:
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"} if name else {}
    return Bedrock().failure(status, headers, json.dumps({key: message}).encode(), ask(), hosted())


@pytest.mark.parametrize(
    ("status", "name", "cause"),
    [
        (403, "AccessDeniedException", Cause.UPSTREAM_AUTH),
        (400, "ExpiredTokenException", Cause.UPSTREAM_AUTH),
        (429, "ThrottlingException", Cause.UPSTREAM_BUSY),
        (400, "ServiceQuotaExceededException", Cause.UPSTREAM_BUSY),
        (429, "ModelNotReadyException", Cause.UPSTREAM_BUSY),
        (503, "ServiceUnavailableException", Cause.UPSTREAM_BUSY),
        (408, "ModelTimeoutException", Cause.UPSTREAM_TIMEOUT),
        (424, "ModelErrorException", Cause.UPSTREAM_ERROR),
        (500, "InternalServerException", Cause.UPSTREAM_ERROR),
        (403, "", Cause.UPSTREAM_AUTH),
        (500, "", Cause.UPSTREAM_ERROR),
    ],
)
def test_what_is_between_us_and_the_upstream_stays_there(status: int, name: str, cause: Cause) -> None:
    failure = failed(status, name)
    assert failure.cause is cause
    assert "canary" not in failure.message


def test_the_callers_own_mistakes_are_told() -> None:
    assert failed(400, "ValidationException", "no such thing").message == "no such thing"
    assert failed(404, "ResourceNotFoundException", "no such model", "Message").cause is Cause.UNKNOWN_MODEL


@pytest.mark.parametrize(
    "message",
    [
        "Input is too long for requested model.",
        "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum",
        "The model returned the following errors: input length and `max_tokens` exceed context limit: 1 + 2 > 3",
    ],
)
def test_a_prompt_that_is_too_long(message: str) -> None:
    failure = failed(400, "ValidationException", message)
    assert (failure.cause, failure.param) == (Cause.CONTEXT_TOO_LONG, "messages")
    assert (
        stream_failure(b"validationException", json.dumps({"message": message}).encode(), hosted()).cause
        is failure.cause
    )


@pytest.mark.parametrize(
    ("name", "data", "cause"),
    [
        (b"throttlingException", b'{"message":"slow"}', Cause.UPSTREAM_BUSY),
        (b"modelStreamErrorException", b'{"originalStatusCode":400}', Cause.UPSTREAM_ERROR),
        (b"somethingNewException", b"", Cause.UPSTREAM_ERROR),
        (b"error", b'{"code":"ThrottlingException","message":""}', Cause.UPSTREAM_BUSY),
        (b"error", b'{"code":"InternalFailure"}', Cause.UPSTREAM_ERROR),
        (b"validationException", b'{"message":"bad"}', Cause.BAD_REQUEST),
    ],
)
def test_exceptions_inside_a_stream(name: bytes, data: bytes, cause: Cause) -> None:
    assert stream_failure(name, data, hosted()).cause is cause
