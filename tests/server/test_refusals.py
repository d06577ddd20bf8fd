"""The host's own answers, byte for byte."""

import http.client
import io
import json

import pytest

from riverrun.failures import Cause, Failure
from riverrun.server.refusals import refusal


class Bytes:
    """A socket for http.client, which reads the answer as a client would."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


@pytest.mark.parametrize("cause", list(Cause))
def test_a_client_reads_the_official_shape(cause: Cause) -> None:
    failure = Failure(cause, 'It has "quotes",\r\nlines and ümlauts.', retry_after=1)
    response = http.client.HTTPResponse(Bytes(refusal(failure, "req_1", b"date: now\r\n")))  # type: ignore[arg-type]
    response.begin()
    error = json.loads(response.read())["error"]
    assert response.status == failure.status
    assert {key: error[key] for key in ("message", "type", "param", "code")} == {
        "message": failure.message,
        "type": failure.type,
        "param": None,
        "code": failure.code,
    }
    assert response.headers["x-request-id"] == "req_1"
    assert response.headers["x-should-retry"] == ("true" if failure.retry else "false")
    assert response.headers["connection"] == "close"
    assert response.headers["content-type"] == "application/json"
    assert response.headers["retry-after"] == "1"
    assert response.headers["date"] == "now"
