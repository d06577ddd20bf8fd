"""What a client reads of a failure."""

import json

from riverrun.failures import Attempt, Cause, Failure
from riverrun.wire.errors import error_body, error_headers


def test_the_four_official_keys_and_our_facts() -> None:
    failure = Failure(Cause.UPSTREAM_TIMEOUT, "It said nothing.", attempts=(Attempt("tiny", "upstream_timeout"),))
    error = json.loads(error_body(failure, request_id="req_1", stream_id="chatcmpl-1", last_seq=9))["error"]
    assert error == {
        "message": "It said nothing.",
        "type": "upstream_error",
        "param": None,
        "code": "upstream_timeout",
        "riverrun": {
            "request_id": "req_1",
            "attempts": [{"target": "tiny", "cause": "upstream_timeout"}],
            "stream_id": "chatcmpl-1",
            "last_seq": 9,
        },
    }


def test_every_cause_says_whether_to_try_again() -> None:
    for cause in Cause:
        headers = dict(error_headers(Failure(cause, "x"), "req_1"))
        assert headers[b"x-should-retry"] == (b"true" if cause.value.retry else b"false")
        assert headers[b"x-request-id"] == b"req_1"


def test_retry_after_is_a_whole_number_the_sdks_accept() -> None:
    for seconds, sent in ((0.2, b"1"), (7.4, b"7"), (9999.0, b"120"), (float("inf"), b"120")):
        assert dict(error_headers(Failure(Cause.OVERLOADED, "x", retry_after=seconds), "r"))[b"retry-after"] == sent


def test_an_error_is_one_line() -> None:
    assert b"\n" not in error_body(Failure(Cause.BAD_REQUEST, "two\nlines"))
