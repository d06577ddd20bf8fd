"""The host's connections over real sockets: strictness, limits, deadlines, pipelining."""

import asyncio
import json
import re
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.server.exchange import Exchange
from riverrun.server.limits import HostLimits
from riverrun.server.stream import Stream
from tests.server.corpus import CHUNKED, CORPUS, HOST, SMUGGLED, post
from tests.server.served import PATIENCE, Echo, run, say, serving, wire

GET = b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
SHORT = HostLimits(head_time=0.15, body_time=0.3, keep_alive=0.3, blocked=0.3, linger=0.2)


@pytest.mark.parametrize("name", CORPUS)
def test_an_ambiguous_request_is_refused_and_smuggles_nothing(name: str) -> None:
    status, data = CORPUS[name]
    app = Echo()

    async def check() -> bytes:
        async with serving(app) as address:
            return await say(address, data)

    head, _, body = run(check()).partition(b"\r\n\r\n")
    assert int(head[9:12]) == status
    assert b"connection: close" in head
    assert re.search(rb"x-request-id: req_[0-9a-f]{32}\r\n", head)
    assert b"x-should-retry: false" in head
    error = json.loads(body)["error"]  # and nothing stands after it
    assert {"message", "type", "param", "code"} <= set(error)
    assert "GET /smuggled" not in app.seen


def test_a_refusal_waits_for_the_answers_before_it() -> None:
    async def check() -> bytes:
        async with serving(Echo()) as address:
            return await say(address, GET + post(b"Content-Length: 2\r\n", b"ab") + b"garbage\r\n\r\n")

    answer = run(check())
    assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)] == [200, 200, 400]
    assert answer.index(b"GET /v1/models 0") < answer.index(b"POST /v1/x 2") < answer.index(b'"error"')


def test_pipelined_requests_are_answered_in_order() -> None:
    app = Echo()

    async def check() -> bytes:
        async with serving(app) as address:
            return await say(address, GET + post(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n") + LAST)

    answer = run(check())
    assert re.findall(rb"(?:GET|POST) /\S+ \d+", answer) == [b"GET /v1/models 0", b"POST /v1/x 3", b"GET /last 0"]


def test_a_request_may_come_in_any_pieces() -> None:
    data = post(b"Content-Length: 5\r\n", b"hello") + LAST

    async def check() -> None:
        async with serving(Echo()) as address, wire(address) as line:
            for cut in range(len(data)):
                line.send(data[cut : cut + 1])
                await line.writer.drain()
            assert b"POST /v1/x 5" in await line.rest()

    run(check())


def test_too_many_waiting_requests_are_refused() -> None:
    async def check() -> bytes:
        async with serving(Echo(), HostLimits(pipelined=3, linger=0.2)) as address:
            return await say(address, GET * 10)

    statuses = re.findall(rb"HTTP/1.1 (\d+)", run(check()))
    assert statuses == [b"200"] * 4 + [b"400"]


def test_an_offered_upgrade_is_ignored_and_the_body_is_read() -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n"

    async def check() -> bytes:
        async with serving(Echo()) as address:
            return await say(address, post(offer, b"hello") + LAST)

    assert b"POST /v1/x 5" in run(check())


EXPECT = b"Content-Length: 5\r\nExpect: 100-continue\r\n"


def test_a_client_that_waits_to_be_told_is_told_when_its_body_is_wanted() -> None:
    async def check() -> bytes:
        async with serving(Echo()) as address, wire(address) as line:
            line.send(post(EXPECT))
            assert await line.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            line.send(b"hello" + LAST)
            return await line.rest()

    answer = run(check())
    assert b"POST /v1/x 5" in answer
    assert b"GET /last 0" in answer


def test_a_body_that_has_come_is_not_asked_for() -> None:
    async def check() -> bytes:
        async with serving(Echo()) as address:
            return await say(address, post(EXPECT, b"hello") + LAST)

    answer = run(check())
    assert b"100 Continue" not in answer
    assert answer.count(b"HTTP/1.1 200 OK") == 2


async def unwanted(stream: Stream) -> None:
    """Answers without the body."""
    stream.answer(401, [(b"content-length", b"0")], b"")


def test_a_body_that_was_not_asked_for_may_come_or_not_so_the_connection_closes() -> None:
    async def check() -> bytes:
        async with serving(Echo(unwanted)) as address:
            return await say(address, b"POST /stream HTTP/1.1\r\n" + HOST + EXPECT + b"\r\n")

    answer = run(check())
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close\r\n" in answer


def test_a_body_that_comes_after_the_answer_is_thrown_away() -> None:
    async def check() -> bytes:
        async with serving(Echo(unwanted)) as address, wire(address) as line:
            line.send(b"POST /stream HTTP/1.1\r\n" + HOST + b"Content-Length: 200000\r\n\r\n")
            await line.until(b"\r\n\r\n")
            line.send(b"x" * 200_000 + LAST)
            return await line.rest()

    assert b"GET /last 0" in run(check())


def test_a_connection_idles_no_longer_after_a_body_that_nobody_wanted() -> None:
    async def check() -> bytes:
        async with serving(Echo(unwanted), SHORT) as address, wire(address) as line:
            line.send(b"POST /stream HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\n")
            await line.until(b"\r\n\r\n")
            line.send(b"late")
            return await line.rest()

    assert run(check()) == b""


def test_the_last_answer_is_read_by_a_client_that_still_sends() -> None:
    async def check() -> bytes:
        async with serving(Echo(unwanted)) as address, wire(address) as line:
            line.send(b"POST /stream HTTP/1.1\r\nConnection: close\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n")
            await line.until(b"\r\n\r\n")
            line.send(b"x" * 1_000_000)
            await line.writer.drain()
            return await line.rest()

    assert run(check()) == b""


def test_a_client_is_heard_leaving_whose_long_body_came_in_one_read() -> None:
    async def check() -> None:
        gone = asyncio.Event()

        class Slow(Echo):
            async def answer(self, exchange: Exchange) -> None:
                await exchange.body(1 << 30)
                stream = exchange.stream()
                stream.on_gone = gone.set
                await gone.wait()

        async with serving(Slow()) as address, wire(address) as line:
            line.send(post(b"Content-Length: 100000\r\n", b"x" * 100_000))
            await asyncio.sleep(0.1)
            line.writer.close()
            async with asyncio.timeout(PATIENCE):
                await gone.wait()

    run(check())


def test_a_client_that_does_not_read_is_not_answered_for_ever() -> None:
    """What it asked for beyond its buffer waits until it reads."""
    many, size = 300, 200_000

    async def check() -> tuple[int, int]:
        made = 0

        async def surface(stream: Stream) -> None:
            nonlocal made
            made += 1
            stream.answer(200, [(b"content-length", b"%d" % size)], b"x" * size)

        limits = HostLimits(pipelined=many, linger=0.2)
        async with serving(Echo(surface), limits) as address, wire(address) as line:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # every transport that reads has it
            line.send(GET.replace(b"/v1/models", b"/stream") * many + LAST)
            await asyncio.sleep(0.3)
            before = made
            line.writer.transport.resume_reading()  # type: ignore[attr-defined]
            assert b"GET /last 0" in await line.rest()
        return before, made

    before, made = run(check())
    assert before < many / 2
    assert made == many


def test_the_large_body_of_a_waiting_request_is_read_in_its_turn() -> None:
    go, large = asyncio.Event(), b"x" * 2_000_000

    async def surface(stream: Stream) -> None:
        await go.wait()
        stream.answer(200, [(b"content-length", b"0")], b"")

    async def check() -> bytes:
        async with serving(Echo(surface)) as address, wire(address) as line:
            line.send(GET.replace(b"/v1/models", b"/stream"))
            line.send(post(b"Content-Length: %d\r\n" % len(large), large) + LAST)
            asyncio.get_running_loop().call_later(0.05, go.set)
            return await line.rest()

    assert b"POST /v1/x 2000000" in run(check())


def test_a_request_after_a_long_answer_is_read() -> None:
    """The parser is let go of while a stream runs."""

    async def surface(stream: Stream) -> None:
        stream.start(200, [])
        stream.write(b"one")
        asyncio.get_running_loop().call_later(0.02, stream.finish)
        await stream.done()

    async def check() -> bytes:
        async with serving(Echo(surface)) as address, wire(address) as line:
            for _ in range(2):
                line.send(GET.replace(b"/v1/models", b"/stream"))
                assert (await line.until(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
            line.send(post(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n") + LAST)
            return await line.rest()

    assert b"POST /v1/x 3" in run(check())


def test_a_trailer_is_no_header() -> None:
    app = Echo()

    async def check() -> bytes:
        async with serving(app) as address:
            trailer = b"0\r\nAuthorization: Bearer stolen\r\nHost: evil.example\r\n\r\n"
            return await say(address, post(CHUNKED, trailer) + LAST)

    assert run(check()).count(b"HTTP/1.1 200") == 2


@pytest.mark.parametrize("endless", [b"0\r\nX-Trailer: ", b"5;name="])
def test_what_frames_a_body_is_bounded(endless: bytes) -> None:
    async def check() -> bytes:
        async with serving(Echo()) as address, wire(address) as line:
            line.send(post(CHUNKED, endless))
            for _ in range(100):
                line.send(b"a" * 10_000)
                await asyncio.sleep(0)
            return await line.rest()

    assert run(check()).startswith(b"HTTP/1.1 431 ")


def test_nothing_after_a_closing_request_is_read() -> None:
    app = Echo()

    async def check() -> bytes:
        async with serving(app) as address:
            return await say(address, LAST + SMUGGLED)

    assert run(check()).count(b"HTTP/1.1 ") == 1
    assert app.seen == ["GET /last"]


@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413)])
@pytest.mark.parametrize("chunked", [True, False])
def test_the_body_limit_is_exact(size: int, status: int, chunked: bool) -> None:
    half = size // 2
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (half, b"a" * half, size - half, b"b" * (size - half))
    data = post(CHUNKED, chunks) if chunked else post(b"Content-Length: %d\r\n" % size, b"a" * size)

    async def check() -> bytes:
        async with serving(Echo(), HostLimits(body=1000, linger=0.2)) as address:
            return await say(address, data + LAST)

    answer = run(check())
    assert int(answer[9:12]) == status


def test_a_client_in_the_middle_of_a_large_body_still_reads_the_413() -> None:
    async def check() -> bytes:
        async with serving(Echo(), HostLimits(body=1000)) as address, wire(address) as line:
            line.send(post(b"Content-Length: 4000000\r\n", b"a" * 4_000_000))
            async with asyncio.timeout(PATIENCE):
                await line.writer.drain()
            return await line.until(b"}}}")

    assert run(check()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("size", "ok"), [(32_768, True), (32_769, False)])
def test_the_head_limit_is_exact(size: int, ok: bool) -> None:
    target = b"/v1/x"
    padding = size - len(target) - len(b"hostlocalhost") - 4 - len(b"x") - 4
    data = b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"X: " + b"a" * padding + b"\r\n\r\n"

    async def check() -> bytes:
        async with serving(Echo()) as address, wire(address) as line:
            line.send(data)
            return await line.until(b"\r\n")

    assert (b" 200 " in run(check())) == ok


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", b""),
        (b"GET / HT", b"408"),
        (GET[:-2], b"408"),
        (post(b"Content-Length: 5\r\n", b"ab"), b"408"),
        (post(CHUNKED, b"5\r\nab"), b"408"),
        (b"\r\n\r\n", b""),
    ],
)
def test_a_slow_request_is_reaped(sent: bytes, status: bytes) -> None:
    app = Echo()

    async def check() -> bytes:
        async with serving(app, SHORT) as address:
            return await say(address, sent)

    assert run(check())[9:12] == status
    assert app.left.is_set() == sent.startswith(b"POST")


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nX-A: ", post(CHUNKED), post(b"Content-Length: 9999\r\n")])
def test_dripping_buys_no_time(start: bytes) -> None:
    drops = b"1\r\nx\r\n" if b"chunked" in start else b"x"

    async def check() -> float:
        loop = asyncio.get_running_loop()
        async with serving(Echo(), SHORT) as address, wire(address) as line:
            began = loop.time()
            line.send(start)
            dripping = True
            while dripping:
                line.send(drops)
                answer = asyncio.ensure_future(line.reader.read(1))
                dripping = not (await asyncio.wait((answer,), timeout=0.02))[0]
                if dripping:
                    answer.cancel()
                    await asyncio.wait((answer,))
            return loop.time() - began

    assert run(check()) < 5


def test_a_later_request_has_its_own_deadline_and_an_idle_connection_its_own() -> None:
    async def check() -> None:
        async with serving(Echo(), SHORT) as address:
            async with wire(address) as line:
                line.send(GET)
                assert (await line.answer())[0] == 200
                line.send(GET[:10])
                assert (await line.rest()).startswith(b"HTTP/1.1 408 ")
            async with wire(address) as line:
                line.send(GET)
                assert (await line.answer())[0] == 200
                assert await line.rest() == b""

    run(check())


def test_many_slow_clients_are_all_reaped_while_others_are_served() -> None:
    async def check() -> None:
        async with serving(Echo(), SHORT) as address:
            drips = [await asyncio.open_connection(address.host, address.port) for _ in range(100)]
            for _, writer in drips:
                writer.write(b"POST / HT")
            async with wire(address) as line:
                line.send(LAST)
                assert (await line.rest()).startswith(b"HTTP/1.1 200 ")
            async with asyncio.timeout(PATIENCE):
                answers = await asyncio.gather(*(reader.read() for reader, _ in drips))
            assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
            for _, writer in drips:
                writer.close()

    run(check())


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (HostLimits(per_address=2, loopback_capped=True, linger=0.2), b"429"),
        (HostLimits(connections=2, linger=0.2), b"503"),
    ],
)
def test_connections_over_a_cap_are_told_to_come_back(limits: HostLimits, status: bytes) -> None:
    async def check() -> None:
        async with serving(Echo(), limits) as address:
            async with wire(address) as one, wire(address) as two:
                for line in (one, two):
                    line.send(GET)
                    assert (await line.answer())[0] == 200
                refused = await say(address, b"")
                assert refused[9:12] == status
                assert b"retry-after: 1\r\n" in refused
                assert b"x-should-retry: true\r\n" in refused
                one.send(LAST)
                assert (await one.rest()).startswith(b"HTTP/1.1 200 ")
            async with wire(address) as line:  # the places are free again
                line.send(LAST)
                assert (await line.rest()).startswith(b"HTTP/1.1 200 ")

    run(check())


def test_a_bug_of_the_application_is_a_json_500(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> bytes:
        async with serving(Echo()) as address:
            return await say(address, b"GET /broken HTTP/1.1\r\n" + HOST + b"\r\n")

    head, _, body = run(check()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert json.loads(body)["error"]["code"] == "internal_error"
    assert b"ZeroDivisionError" not in body
    assert "ZeroDivisionError" in caplog.text


def test_a_reset_while_the_body_is_awaited_reaches_the_application() -> None:
    app = Echo()

    async def check() -> None:
        async with serving(app) as address:
            sock = socket.create_connection((address.host, address.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(post(b"Content-Length: 5\r\n", b"ab"))
            async with asyncio.timeout(PATIENCE):
                while not app.seen:
                    await asyncio.sleep(0)
                sock.close()
                await app.left.wait()

    run(check())


PIECES = [b"GET", b"POST", b" ", b"/", b"/v1", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host:", b"localhost"]
PIECES += [
    b"Content-Length: 3\r\n",
    CHUNKED,
    b"0\r\n\r\n",
    b"3\r\nabc\r\n",
    b"\0",
    b"\xff",
    HOST,
    b"Connection: close\r\n",
]
PIECES += [b"Upgrade: h2c\r\nConnection: upgrade\r\n", b"Expect: 100-continue\r\n", GET, post(b""), b"%", b"?", b":"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=12).map(b"".join), max_size=12
    )
)
def test_no_bytes_are_our_fault(requests: list[bytes]) -> None:
    """Whatever comes, what goes back is HTTP, and never a 5xx but the one for another HTTP version."""
    limits = HostLimits(head_time=0.02, body_time=0.03, keep_alive=0.02, linger=0.01)

    async def check() -> list[bytes]:
        async with serving(Echo(), limits) as address:
            return await asyncio.gather(*(say(address, data) for data in requests))

    for answer in run(check()):
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        assert set(re.findall(rb"HTTP/1.1 (5\d\d) ", answer)) <= {b"505"}
