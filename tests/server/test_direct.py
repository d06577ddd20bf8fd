"""The direct writer over real connections: ends, cuts, backpressure, and clients that leave."""

import asyncio
import http.client
import socket
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from riverrun.server.direct import DirectStream
from riverrun.server.limits import HostLimits
from riverrun.server.stream import Stream
from tests.server.served import PATIENCE, Echo, run, say, serving, wire

EVENTS = [(b"content-type", b"text/event-stream")]
ASK = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def whole(stream: Stream) -> None:
    stream.start(200, EVENTS)
    assert stream.write(b"one")
    assert stream.write(b"")  # an empty chunk would end the body
    assert stream.write(b"two")
    stream.finish()
    await stream.done()


async def broken(stream: Stream) -> None:
    stream.start(200, EVENTS)
    stream.write(b"one")
    stream.abort()
    assert not stream.write(b"never")
    stream.finish()
    await stream.done()


async def counted(stream: Stream) -> None:
    stream.start(200, [(b"content-length", b"6")])
    stream.write(b"one")
    stream.write(b"two")
    stream.finish()


async def short(stream: Stream) -> None:
    stream.start(200, [(b"content-length", b"7")])
    stream.write(b"one")
    stream.finish()


async def forgotten(stream: Stream) -> None:
    stream.start(200, EVENTS)
    stream.write(b"one")


async def buggy(stream: Stream) -> None:
    await forgotten(stream)
    raise ZeroDivisionError


def test_a_finished_answer_leaves_the_connection_usable() -> None:
    async def check() -> bytes:
        async with serving(Echo(whole)) as address, wire(address) as line:
            for _ in range(3):
                line.send(ASK)
                answer = await line.until(b"0\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert answer.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
                assert answer.count(b"transfer-encoding: chunked\r\n") == 1
            line.send(LAST)
            return await line.rest()

    assert b"GET /last 0" in run(check())


def test_pipelined_streams_follow_each_other() -> None:
    async def check() -> bytes:
        async with serving(Echo(whole)) as address:
            return await say(address, ASK + ASK + LAST)

    assert run(check()).count(b"0\r\n\r\n") == 2


@pytest.mark.parametrize("surface", [broken, forgotten, buggy])
def test_a_broken_answer_has_no_end(surface: Callable[[Stream], Awaitable[None]]) -> None:
    """What was written arrives, the last chunk never comes, and a real client sees IncompleteRead."""

    def read(port: int) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/stream")
        with pytest.raises(http.client.IncompleteRead) as cut:
            connection.getresponse().read()
        connection.close()
        return cut.value.partial

    async def check() -> tuple[bytes, bytes]:
        async with serving(Echo(surface)) as address:
            return await asyncio.to_thread(read, address.port), await say(address, ASK + LAST)

    partial, raw = run(check())
    assert partial == b"one"
    assert raw.endswith(b"\r\n\r\n3\r\none\r\n")


class Recorder:
    """A connection whose writes are counted."""

    class Serving:
        defaults = b"date: now\r\n"

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.transport = cast("asyncio.Transport", self)
        self.behind = self.expected = False
        self.serving = Recorder.Serving()
        self.told: list[str] = []

    def write(self, block: bytes) -> None:
        self.blocks.append(block)

    def close(self) -> None:
        self.told.append("closed")

    def awaited(self) -> bool:
        return False

    def cut(self, *, reset: bool) -> None:
        self.told.append("reset" if reset else "cut")

    def settle(self) -> None:
        self.told.append("settled")

    def answered(self) -> None:
        self.told.append("answered")


def recorded() -> tuple[DirectStream, Recorder]:
    connection = Recorder()
    return DirectStream(connection, silent=False, old=False, keep_alive=True), connection


def test_a_whole_answer_is_one_write() -> None:
    stream, connection = recorded()
    stream.answer(200, [(b"content-length", b"2")], b"hi")
    assert connection.blocks == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\n\r\nhi"]
    assert connection.told == ["answered"]


def test_a_head_goes_out_with_the_first_block() -> None:
    stream, connection = recorded()
    stream.start(200, EVENTS)
    assert connection.blocks == []
    stream.write(b"one")
    stream.write(b"two")
    stream.finish()
    assert [block[-8:] for block in connection.blocks] == [b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]
    assert connection.blocks[0].startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(("end", "last"), [("finish", b"0\r\n\r\n"), ("abort", b"\r\n\r\n")])
def test_a_head_without_a_block_goes_out_with_the_end(end: str, last: bytes) -> None:
    stream, connection = recorded()
    stream.start(200, EVENTS)
    getattr(stream, end)()
    (block,) = connection.blocks
    assert block.startswith(b"HTTP/1.1 200 OK\r\n")
    assert block.endswith(last)


def test_a_head_without_a_block_goes_out_when_it_is_waited_for() -> None:
    async def main() -> None:
        stream, connection = recorded()
        stream.start(200, EVENTS)
        waiting = asyncio.ensure_future(stream.done())
        await asyncio.sleep(0)
        assert len(connection.blocks) == 1
        assert connection.told == ["settled"]
        stream.lost()
        await waiting

    asyncio.run(main())


def test_what_has_ended_holds_nobody() -> None:
    for end in ("finish", "abort", "lost"):
        stream, _ = recorded()
        stream.on_gone = stream.on_resume = lambda: None
        stream.start(200, EVENTS)
        getattr(stream, end)()
        assert stream.on_gone is None
        assert stream.on_resume is None


def test_a_given_length_is_kept_to() -> None:
    async def check() -> None:
        async with serving(Echo(counted)) as address, wire(address) as line:
            line.send(ASK)
            assert await line.answer() == (200, b"onetwo")
            line.send(LAST)
            assert b"GET /last 0" in await line.rest()
        async with serving(Echo(short)) as address, wire(address) as line:
            line.send(ASK)
            assert (await line.rest()).endswith(b"\r\n\r\none")

    run(check())


def test_http_1_0_has_no_chunks_and_a_cut_is_a_reset() -> None:
    old = b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n"

    async def check() -> None:
        async with serving(Echo(whole)) as address:
            answer = await say(address, old)
            assert b"transfer-encoding" not in answer
            assert b"connection: close\r\n" in answer
            assert answer.endswith(b"\r\n\r\nonetwo")
        async with serving(Echo(broken)) as address, wire(address) as line:
            line.send(old)
            assert (await line.until(b"one")).endswith(b"\r\n\r\none")
            with pytest.raises(ConnectionResetError):
                await line.rest()

    run(check())


def test_head_has_headers_only() -> None:
    async def check() -> bytes:
        async with serving(Echo(whole)) as address:
            return await say(address, ASK.replace(b"GET", b"HEAD") + LAST)

    head, _, rest = run(check()).partition(b"\r\n\r\n")
    assert b"text/event-stream" in head
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_a_closing_client_is_told_so_once() -> None:
    async def check() -> bytes:
        async with serving(Echo(whole)) as address:
            return await say(address, ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert run(check()).lower().count(b"connection: close") == 1


@pytest.mark.parametrize("header", [(b"x-a", b"b\r\nx-c: d"), (b"x a", b"b"), (b"x-a", b"b\0")])
def test_no_header_can_carry_another(header: tuple[bytes, bytes]) -> None:
    caught: list[str] = []

    async def surface(stream: Stream) -> None:
        with pytest.raises(ValueError, match="no header may have") as error:
            stream.start(200, [header])
        caught.append(str(error.value))
        stream.start(200, [(b"content-length", b"0")])
        with pytest.raises(RuntimeError, match="already started"):
            stream.start(200, [])
        stream.finish()

    async def check() -> bytes:
        async with serving(Echo(surface)) as address:
            return await say(address, ASK + LAST)

    assert run(check()).count(b"HTTP/1.1 200 ") == 2
    assert caught


def test_a_slow_reader_stops_the_writer_until_it_has_caught_up() -> None:
    block = b"x" * 32_768
    full = asyncio.Event()
    counts = {"written": 0, "resumed": 0}

    async def surface(stream: Stream) -> None:
        resumed = asyncio.Event()

        def again() -> None:
            counts["resumed"] += 1
            resumed.set()

        stream.on_resume = again
        stream.start(200, EVENTS)
        while counts["written"] < 400:
            counts["written"] += 1
            if not stream.write(block):
                full.set()
                await resumed.wait()
                resumed.clear()
        stream.finish()
        await stream.done()

    async def check() -> int:
        async with serving(Echo(surface)) as address, wire(address) as line:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads too
            line.send(ASK)
            async with asyncio.timeout(PATIENCE):
                await full.wait()
            assert counts["written"] < 400
            assert counts["resumed"] == 0
            line.writer.transport.resume_reading()  # type: ignore[attr-defined]
            return len(await line.until(b"0\r\n\r\n"))

    assert run(check()) > 400 * len(block)
    assert counts["resumed"] >= 1


def test_a_reader_that_takes_nothing_is_closed() -> None:
    gone = asyncio.Event()

    async def surface(stream: Stream) -> None:
        stream.on_gone = gone.set
        stream.start(200, EVENTS)
        while stream.write(b"x" * 65_536):
            pass
        await stream.done()

    async def check() -> None:
        async with serving(Echo(surface), HostLimits(blocked=0.2)) as address, wire(address) as line:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            line.send(ASK)
            async with asyncio.timeout(PATIENCE):
                await gone.wait()

    run(check())


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can be told")
def test_a_reader_that_takes_nothing_is_closed_though_the_kernel_holds_all_of_it() -> None:
    gone = asyncio.Event()

    async def surface(stream: Stream) -> None:
        stream.on_gone = gone.set
        stream.start(200, EVENTS)
        for _ in range(4):
            stream.write(b"x" * 8192)
        await stream.done()

    async def check() -> None:
        async with serving(Echo(surface), HostLimits(blocked=0.2)) as address:
            with socket.socket() as small:
                small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                small.connect((address.host, address.port))
                small.sendall(ASK)
                async with asyncio.timeout(PATIENCE):
                    await gone.wait()

    run(check())


@pytest.mark.parametrize("started", [True, False])
def test_a_client_that_leaves_is_noticed_once(started: bool) -> None:
    calls: list[bool] = []
    ready, left = asyncio.Event(), asyncio.Event()

    async def surface(stream: Stream) -> None:
        stream.on_gone = lambda: calls.append(stream.gone)
        if started:
            stream.start(200, EVENTS)
            stream.write(b"one")
        ready.set()
        await stream.done()
        stream.start(200, EVENTS)
        assert not stream.write(b"two")
        stream.finish()
        stream.abort()
        left.set()

    async def check() -> None:
        async with serving(Echo(surface)) as address:
            async with wire(address) as line, asyncio.timeout(PATIENCE):
                line.send(ASK)
                await ready.wait()
            async with asyncio.timeout(PATIENCE):
                await left.wait()

    run(check())
    assert calls == [True]


def test_the_client_of_a_queued_request_leaves_too() -> None:
    """With a second request waiting behind the stream, the stream is still told that its client has gone."""
    ready, gone = asyncio.Event(), asyncio.Event()
    app = Echo()

    async def surface(stream: Stream) -> None:
        stream.on_gone = gone.set
        stream.start(200, EVENTS)
        ready.set()
        await stream.done()

    app.surface = surface

    async def check() -> None:
        async with serving(app) as address:
            async with wire(address) as line, asyncio.timeout(PATIENCE):
                line.send(ASK + LAST)
                await ready.wait()
            async with asyncio.timeout(PATIENCE):
                await gone.wait()

    run(check())
    assert app.seen == ["GET /stream"]


def test_a_body_refused_while_it_is_read_reaches_the_stream() -> None:
    gone = asyncio.Event()

    async def surface(stream: Stream) -> None:
        stream.on_gone = gone.set
        await stream.done()

    async def check() -> bytes:
        async with serving(Echo(surface)) as address:
            chunked = b"POST /stream HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            async with wire(address) as line:
                line.send(chunked)
                await asyncio.sleep(0)
                line.send(b"zz\r\n")
                return await line.rest()

    assert run(check()).startswith(b"HTTP/1.1 400 ")
