"""Framing, fed by hand: which bytes are the body, when the answer is over, and whether the connection lives on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from riverrun.backends.address import Address
from riverrun.backends.connection import MAX_HEAD, Connection
from riverrun.failures import Cause

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: t\r\n\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\nhello"
TO_EOF = OK + b"\r\nhello"
INTERIM = b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"


class Wire(asyncio.Transport):
    """The loop's side of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.unsent = 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: bytes | bytearray | memoryview[int]) -> None: ...

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Listener:
    """Both the answer and the pool of one connection."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.blocks: list[bytes] = []
        self.over = False
        self.fault: tuple[Cause, bool] | None = None
        self.rested = 0
        self.forgotten = 0

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        assert not self.status
        self.status, self.headers = status, headers

    def heard(self, block: bytes, over: bool) -> None:
        assert not self.over
        self.blocks.append(block)
        self.over = over

    def broken(self, cause: Cause, reason: str, silent: bool) -> None:
        assert self.fault is None
        assert not self.over
        assert reason
        self.fault = cause, silent

    def rest(self, connection: Connection) -> None:
        self.rested += 1

    def forget(self, connection: Connection) -> None:
        self.forgotten += 1

    @property
    def body(self) -> bytes:
        return b"".join(self.blocks)


def asked() -> tuple[Listener, Connection, Wire]:
    listener, wire = Listener(), Wire()
    connection = Connection(Address("h", 80), listener)
    connection.connection_made(wire)
    connection.send(b"POST ", b"{}", listener)
    return listener, connection, wire


def heard(*reads: bytes) -> tuple[Listener, Connection, Wire]:
    listener, connection, wire = asked()
    for read in reads:
        if not wire.closed:
            connection.data_received(read)
    return listener, connection, wire


@pytest.mark.parametrize("answer", [CHUNKED, LENGTH, INTERIM + INTERIM + LENGTH])
def test_every_split_gives_the_same_body_and_one_call_a_read(answer: bytes) -> None:
    for cut in range(1, len(answer)):
        listener, connection, _ = heard(answer[:cut], answer[cut:])
        assert (listener.status, listener.body, listener.over, listener.rested) == (200, b"hello", True, 1)
        assert len(listener.blocks) <= 2
        assert connection.usable
    listener, _, _ = heard(*(answer[i : i + 1] for i in range(len(answer))))
    assert (listener.body, listener.over, listener.rested) == (b"hello", True, 1)


@pytest.mark.parametrize("answer", [CHUNKED, LENGTH])
@pytest.mark.parametrize("error", [None, ConnectionResetError()])
def test_every_cut_is_interrupted(answer: bytes, error: Exception | None) -> None:
    for cut in range(len(answer)):
        listener, connection, _ = heard(*filter(None, [answer[:cut]]))
        connection.connection_lost(error)
        assert not listener.over
        assert listener.fault == (Cause.UPSTREAM_INTERRUPTED, cut == 0)
        assert listener.forgotten == 1


@pytest.mark.parametrize("cut", [b"", OK])
def test_a_connection_that_closes_instead_of_an_answer_says_nothing_of_how_the_last_one_ended(cut: bytes) -> None:
    _, connection, _ = heard(b"HTTP/1.1 204 No Content\r\n\r\n")
    second = Listener()
    connection.send(b"POST ", b"{}", second)
    if cut:
        connection.data_received(cut)
    connection.eof_received()
    assert (second.over, second.fault) == (False, (Cause.UPSTREAM_INTERRUPTED, not cut))


def test_a_body_without_length_ends_with_the_connection_but_not_with_a_reset() -> None:
    listener, connection, wire = heard(TO_EOF)
    assert not listener.over
    connection.eof_received()
    connection.connection_lost(None)
    assert (listener.body, listener.over, listener.fault, listener.rested) == (b"hello", True, None, 0)

    listener, connection, wire = heard(TO_EOF)
    connection.connection_lost(ConnectionResetError())
    assert listener.fault == (Cause.UPSTREAM_INTERRUPTED, False)

    listener, connection, wire = heard(OK)
    connection.eof_received()
    assert listener.fault == (Cause.UPSTREAM_INTERRUPTED, False)
    assert not wire.closed  # that is the loop's part


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"a b: c\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
        OK + b"x: %b\r\n\r\n" % (b"y" * MAX_HEAD),
        OK + b"x: %b" % (b"y" * MAX_HEAD),
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: %b\r\n\r\n" % (b"y" * MAX_HEAD),
        OK + b"Transfer-Encoding: chunked\r\n\r\n5;%b" % (b"y" * MAX_HEAD),
        INTERIM * (MAX_HEAD // 12),
    ],
)
def test_what_is_not_http_or_has_no_end_is_malformed(answer: bytes) -> None:
    pieces = [answer[i : i + 1000] for i in range(0, len(answer), 1000)]
    for reads in ([answer], pieces):
        listener, _, wire = heard(*reads)
        assert listener.fault == (Cause.UPSTREAM_MALFORMED, False)
        assert wire.closed
        assert not listener.over


def test_the_body_before_a_fault_is_heard() -> None:
    listener, _, _ = heard(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nX")
    assert listener.body == b"he"
    assert listener.fault == (Cause.UPSTREAM_MALFORMED, False)


@pytest.mark.parametrize(
    "answer",
    [
        LENGTH + b"HTTP/1.1 200 OK\r\n",
        LENGTH + b"garbage",
        LENGTH.replace(b"Content", b"Connection: close\r\nContent"),
        LENGTH.replace(b"1.1", b"1.0"),
    ],
)
def test_an_answer_after_which_the_connection_is_not_used_again(answer: bytes) -> None:
    listener, connection, wire = heard(answer)
    assert (listener.body, listener.over, listener.fault, listener.rested) == (b"hello", True, None, 0)
    assert wire.closed
    assert not connection.usable


def test_not_used_again_while_the_request_is_still_being_sent() -> None:
    listener, connection, wire = asked()
    wire.unsent = 1
    connection.data_received(LENGTH)
    assert (listener.over, listener.rested, wire.closed) == (True, 0, True)


def test_bytes_on_an_idle_connection_close_it() -> None:
    listener, connection, wire = heard(LENGTH)
    connection.data_received(LENGTH)
    assert wire.closed
    assert listener.body == b"hello"


def test_headers_are_lower_case_and_repeated_ones_joined() -> None:
    fields = b"X-A: 1\r\nContent-Length: 0\r\nx-a: 2\r\nLocation: a\r\nlocation: b\r\n\r\n"
    listener, _, _ = heard(b"HTTP/1.1 429 Too Many\r\n" + fields)
    assert listener.headers == {"x-a": "1, 2", "content-length": "0", "location": "a, b"}
    listener, _, _ = heard(OK + fields)
    assert listener.headers == {"content-length": "0", "location": "a, b"}  # of a good answer nobody reads the others


def test_leaving_a_complete_answer_waits_for_its_end_for_a_moment() -> None:
    async def leave(rest: bytes) -> tuple[Listener, Wire]:
        listener, connection, wire = heard(CHUNKED[:60])
        connection.leave(drain=True)
        assert not wire.closed
        connection.data_received(rest)
        return listener, wire

    listener, wire = asyncio.run(leave(CHUNKED[60:]))
    assert (listener.rested, wire.closed, listener.over) == (1, False, False)
    listener, wire = asyncio.run(leave(b"\r\n5;%b" % (b"y" * MAX_HEAD)))
    assert (listener.rested, wire.closed, listener.fault) == (0, True, None)


def test_leaving_for_good_closes() -> None:
    _, connection, wire = heard(CHUNKED[:60])
    connection.leave(drain=False)
    assert wire.closed
    _, connection, wire = heard(TO_EOF)
    connection.leave(drain=True)  # its end would be the connection's
    assert wire.closed
