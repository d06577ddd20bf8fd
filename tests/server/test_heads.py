"""Which heads are answered; how they come over a socket is test_protocol's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.server.heads import check_head, without_upgrade
from riverrun.server.limits import HostLimits

HOST = (b"host", b"localhost:8000")
LIMITS = HostLimits()


def refusal(
    *headers: tuple[bytes, bytes], method: bytes = b"POST", target: bytes = b"/", version: str = "1.1"
) -> Failure | None:
    try:
        check_head(method, target, version, headers, LIMITS)
    except Failure as failure:
        return failure
    return None


@pytest.mark.parametrize(
    "headers",
    [
        (HOST,),
        (HOST, (b"content-length", b"8388608")),
        (HOST, (b"transfer-encoding", b"Chunked")),
        (HOST, (b"content-encoding", b"identity")),
        (HOST, (b"cookie", b"a"), (b"cookie", b"b")),
        ((b"host", b"[::1]:8000"),),
        ((b"host", b"api.example"),),
    ],
)
def test_ordinary_heads_pass(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert refusal(*headers) is None


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, ()),
        (400, (HOST, HOST)),
        (400, ((b"host", b""),)),
        (400, ((b"host", b"a b"),)),
        (400, ((b"host", b"localhost\xff"),)),
        (400, (HOST, (b"transfer-encoding", b"gzip, chunked"))),
        (400, (HOST, (b"transfer-encoding", b"chunked"), (b"content-length", b"1"))),
        (400, (HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked"))),
        (400, (HOST, (b"content-length", b"1"), (b"content-length", b"1"))),
        (400, (HOST, (b"content-length", b"1_0"))),
        (400, (HOST, (b"content-length", b"\xd9\xa1"))),
        (400, (HOST, (b"origin", b"a"), (b"origin", b"b"))),
        (413, (HOST, (b"content-length", b"8388609"))),
        (415, (HOST, (b"content-encoding", b"gzip"))),
        (415, (HOST, (b"content-encoding", b"identity, br"))),
    ],
)
def test_doubtful_heads_are_refused(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    failure = refusal(*headers)
    assert failure is not None
    assert failure.status == status


@pytest.mark.parametrize(
    ("status", "method", "target", "version"),
    [
        (505, b"GET", b"/", "2.0"),
        (505, b"GET", b"/", "0.9"),
        (405, b"CONNECT", b"localhost:1", "1.1"),
        (405, b"PROPFIND", b"/", "1.1"),
        (400, b"GET", b"http://localhost/", "1.1"),
        (400, b"GET", b"*", "1.1"),
        (400, b"GET", b"/a#b", "1.1"),
    ],
)
def test_request_lines(status: int, method: bytes, target: bytes, version: str) -> None:
    failure = refusal(HOST, method=method, target=target, version=version)
    assert failure is not None
    assert failure.status == status
    assert refusal(HOST, method=b"OPTIONS", target=b"*") is None


def test_an_upgrade_is_renamed_in_the_head_only() -> None:
    head = b"POST / HTTP/1.1\r\nConnection: upgrade\r\nuPGRADE: h2c\r\n\r\n"
    body = b"\r\nUpgrade: is only text here\r\n\r\n"
    assert without_upgrade(head + body) == head.replace(b"uPGRADE:", b"x-upgrade-ignored:") + body
    assert without_upgrade(head[:-1]) == head[:-1]


@given(st.binary(max_size=200))
def test_a_head_without_an_upgrade_is_untouched(block: bytes) -> None:
    assert without_upgrade(block) == block or b"pgrade" in block.lower()
