from __future__ import annotations

import sys
from random import Random

import pytest

from riverrun import __version__
from riverrun.backends.address import Address
from riverrun.backends.post import head, idempotent, rest_of
from riverrun.dialects.contract import Outgoing

HERE = Address("h", 8080)


def test_the_head_of_a_request() -> None:
    assert head(HERE, "/v1", Outgoing("/chat", b"{}"), (("authorization", "Bearer k"),)).decode().split("\r\n") == [
        "POST /v1/chat HTTP/1.1",
        "host: h:8080",
        f"user-agent: riverrun/{__version__}",
        "accept: text/event-stream, application/json",
        "accept-encoding: identity",
        "content-type: application/json",
        "authorization: Bearer k",
        "content-length: 2",
        "",
        "",
    ]


def test_a_key_is_kept_by_nobody_once_its_request_is_written() -> None:
    shown = (("authorization", "Bearer a-key-that-is-replaced-soon"),)
    before = sys.getrefcount(shown)
    head(HERE, "/v1", Outgoing("/chat", b"{}"), shown)
    assert sys.getrefcount(shown) == before


def test_without_credentials_there_is_no_authorization() -> None:
    assert b"authorization" not in head(HERE, "", Outgoing("/chat", b""))


def test_a_dialects_header_takes_the_place_of_ours() -> None:
    sent = head(HERE, "", Outgoing("/chat", b"", (("Accept", "x/y"), ("x-version", "1"))))
    assert sent.count(b"accept: ") == 1
    assert b"\r\naccept: x/y\r\n" in sent
    assert b"\r\nx-version: 1\r\n" in sent


def test_the_request_for_the_rest_of_a_stream() -> None:
    sent = rest_of("chatcmpl-1", 12, HERE, "/team/v1", (("authorization", "Bearer k"),))
    assert sent.decode().split("\r\n") == [
        "GET /team/v1/chat/completions/chatcmpl-1 HTTP/1.1",
        "host: h:8080",
        f"user-agent: riverrun/{__version__}",
        "accept: text/event-stream",
        "accept-encoding: identity",
        "last-event-id: 12",
        "authorization: Bearer k",
        "",
        "",
    ]


def test_a_calls_name_is_128_random_bits() -> None:
    class Zero(Random):
        def getrandbits(self, k: int, /) -> int:
            assert k == 128
            return 5

    lines = b"idempotency-key: 05%b\r\nx-riverrun-on-disconnect: grace\r\n" % (b"00" * 15)
    assert idempotent(Zero()) == lines
    sent = head(HERE, "", Outgoing("/chat", b"{}"), (("authorization", "Bearer k"),), lines)
    assert sent.endswith(b"\r\nauthorization: Bearer k\r\n" + lines + b"content-length: 2\r\n\r\n")


@pytest.mark.parametrize("evil", ["a\r\nx: y", "a\nb", "a\rb", "a\0b", "ä"])
@pytest.mark.parametrize("where", ["key", "path", "name", "value"])
def test_nothing_can_break_the_message_apart(evil: str, where: str) -> None:
    words = {"key": "k", "path": "/p", "name": "n", "value": "v", where: evil}
    outgoing = Outgoing(words["path"], b"", ((words["name"], words["value"]),))
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is for people
        head(HERE, "", outgoing, (("authorization", words["key"]),))
    assert evil not in str(caught.value)


def test_a_path_with_a_space_is_refused() -> None:
    with pytest.raises(ValueError, match="path"):
        head(HERE, "", Outgoing("/p HTTP/1.1", b""))
