"""Where no connection comes about: the cause, in words that hold no address."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from riverrun.backends.pool import Keeping
from riverrun.backends.unreachable import unreachable
from riverrun.backends.upstream import Upstream
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines
from riverrun.stream.flow import Cancelled, Finished
from tests.backends.asking import Plain, ask, both_loops, run, target
from tests.upstreams import LAST_CHUNK, chunk, head, play, serve, sse

ANSWER = play(head() + chunk(sse(b"Hello", b"[END]")) + LAST_CHUNK)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def bundle(authority: trustme.CA, folder: Path) -> Keeping:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return Keeping(ca_bundle=str(path))


async def refused(base_url: str, keeping: Keeping = Keeping(), deadlines: Deadlines = Deadlines()) -> Failure:  # noqa: B008
    ears, _ = ask(Upstream({"plain": Plain()}, keeping), target(base_url, deadlines))
    failure = await ears.failure()
    assert not ears.pushes
    assert "127.0.0.1" not in failure.message
    assert "localhost" not in failure.message
    assert "'shown'" in failure.message
    return failure


@both_loops
def test_nobody_listens(loop: str, tmp_path: Path) -> None:
    async def test() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))  # ours, and not listening
            failure = await refused(f"http://127.0.0.1:{held.getsockname()[1]}")
        assert failure.cause is Cause.UPSTREAM_UNREACHABLE
        assert "refused" in failure.message
        failure = await refused(f"unix:{tmp_path}/none.sock")
        assert failure.cause is Cause.UPSTREAM_UNREACHABLE
        assert "socket does not exist" in failure.message
        assert str(tmp_path) not in failure.message

    run(test(), loop)


@both_loops
def test_no_such_host(loop: str) -> None:
    async def test() -> None:
        failure = await refused("http://nowhere.invalid/v1")  # RFC 6761: never resolves
        assert failure.cause is Cause.UPSTREAM_UNREACHABLE
        assert "nowhere" not in failure.message

    run(test(), loop)


def test_a_base_url_that_is_none() -> None:
    async def test() -> None:
        failure = await refused("gopher://secret")
        assert failure.cause is Cause.INTERNAL
        assert "base_url" in failure.message

    run(test())


@both_loops
def test_tls_with_a_trusted_authority(loop: str, authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(ANSWER, tls=server_side(authority)) as upstream:
            backend = Upstream({"plain": Plain()}, bundle(authority, tmp_path))
            for _ in range(2):
                ears, _ = ask(backend, target(upstream.base_url))
                assert await ears.ending() == Finished()
                assert ears.text == "Hello"
            assert upstream.connections == 1
            backend.close()

    run(test(), loop)


@both_loops
def test_a_tls_answer_that_is_cut_or_cancelled(loop: str, authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        part = head() + chunk(sse(b"Hello"))
        plays = (play(part, end="clean"), play(part, end="reset"), play(part, end="stall"))
        async with serve(*plays, tls=server_side(authority)) as upstream:
            backend = Upstream({"plain": Plain()}, bundle(authority, tmp_path))
            for _ in range(2):
                ears, _ = ask(backend, target(upstream.base_url))
                assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            ears, call = ask(backend, target(upstream.base_url))
            await ears.first()
            call.cancel()
            assert ears.endings == [Cancelled()]
            await upstream.gone(1)

    run(test(), loop)


@both_loops
@pytest.mark.parametrize("case", ["unknown authority", "another name"])
def test_tls_that_cannot_be_trusted(loop: str, case: str, authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        tls = server_side(authority, "other.example" if case == "another name" else "localhost")
        keeping = Keeping() if case == "unknown authority" else bundle(authority, tmp_path)
        async with serve(ANSWER, tls=tls) as upstream:
            failure = await refused(upstream.base_url, keeping)
            assert failure.cause is Cause.UPSTREAM_UNREACHABLE
            assert "certificate is not trusted" in failure.message
            assert not upstream.requests

    run(test(), loop)


@both_loops
def test_https_to_a_port_that_speaks_http(loop: str) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            failing = asyncio.create_task(refused(f"https://127.0.0.1:{listener.getsockname()[1]}"))
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            with connection:
                connection.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(connection, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                failure = await failing
        assert failure.cause is Cause.UPSTREAM_UNREACHABLE
        assert "speaks TLS" in failure.message

    run(test(), loop)


@both_loops
def test_connecting_has_a_deadline_and_can_be_cancelled(loop: str) -> None:
    """A TLS server that accepts and says nothing: the handshake hangs."""

    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            url = f"https://127.0.0.1:{listener.getsockname()[1]}"
            failure = await refused(url, deadlines=Deadlines(connect=0.05))
            assert failure.cause is Cause.UPSTREAM_TIMEOUT
            (await asyncio.get_running_loop().sock_accept(listener))[0].close()

            ears, call = ask(Upstream({"plain": Plain()}), target(url))
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            call.cancel()
            assert ears.endings == [Cancelled()]
            connection.setblocking(False)
            with connection:
                size = 1
                while size:
                    size = len(await asyncio.get_running_loop().sock_recv(connection, 1000))

    run(test(), loop)


def test_a_bundle_that_cannot_be_read_is_an_error_of_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Upstream({}, Keeping(ca_bundle=str(tmp_path / "none.pem")))


def test_our_own_lack_of_descriptors_is_not_blamed_on_the_upstream() -> None:
    failure = unreachable(OSError(24, "Too many open files"), target("http://h"))
    assert failure.cause is Cause.OVERLOADED
    assert failure.retry_after == 1.0


def test_an_unknown_error_is_named_by_its_code() -> None:
    assert "EHOSTUNREACH" in unreachable(OSError(113, "No route to 10.0.0.1"), target("http://h")).message
    assert "10.0.0.1" not in unreachable(OSError("Multiple exceptions: 10.0.0.1"), target("http://h")).message
