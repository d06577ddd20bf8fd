"""Through a proxy that speaks CONNECT: which way is taken, that TLS runs from end to end, and what goes wrong."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from riverrun.backends.address import Address, parse
from riverrun.backends.pool import Keeping
from riverrun.backends.tunnel import NoTunnel, Proxies
from riverrun.backends.upstream import Upstream
from riverrun.failures import Cause
from riverrun.routing.target import Deadlines
from riverrun.stream.flow import Cancelled, Finished
from tests.backends.asking import CHUNKED, SAID, Plain, ask, both_loops, run, target
from tests.upstreams import play, serve

HOST = "models.example"  # resolves nowhere here: the proxy's business
OPEN = b"HTTP/1.1 200 Connection established\r\nvia: a proxy\r\n\r\n"
LOGIN = "someone:canary-pass%3Aword"


class Proxy:
    """Answers CONNECT with `answer`, and after a 200 carries bytes to `port` on the loopback, whatever was asked."""

    def __init__(self, port: int, answer: bytes, after: bytes) -> None:
        self.heads: list[bytes] = []
        self.url = ""
        self._port = port
        self._answer = answer
        self._after = after
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            for byte in self._answer:
                writer.write(bytes([byte]))
            writer.write(self._after)
            if self._answer == OPEN:
                inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
                await asyncio.gather(_carry(reader, outer), _carry(inner, writer))
            elif self._answer:
                await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    finally:
        writer.close()


@asynccontextmanager
async def proxy(port: int, answer: bytes = OPEN, after: bytes = b"") -> AsyncIterator[Proxy]:
    made = Proxy(port, answer, after)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.url = f"http://{LOGIN}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(authority: trustme.CA, name: str = HOST) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client(authority: trustme.CA, folder: Path, environ: dict[str, str]) -> Upstream:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return Upstream({"plain": Plain()}, Keeping(ca_bundle=str(path)), environ=environ)


@both_loops
def test_tls_runs_through_it_from_end_to_end(loop: str, authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(play(CHUNKED), tls=server_side(authority)) as upstream, proxy(upstream.port) as between:
            backend = client(authority, tmp_path, {"HTTPS_PROXY": between.url})
            to = target(f"https://{HOST}/v1", key="the-key")
            for _ in range(2):
                ears, _ = ask(backend, to)
                assert await ears.ending() == Finished()
                assert ears.text == SAID
            login = b64encode(b"someone:canary-pass:word").decode()
            lines = [f"CONNECT {HOST}:443 HTTP/1.1", f"host: {HOST}:443", f"proxy-authorization: Basic {login}", "", ""]
            assert between.heads == ["\r\n".join(lines).encode()]
            assert upstream.connections == 1
            assert upstream.requests[0].headers["host"] == HOST
            assert "proxy-authorization" not in upstream.requests[0].headers
            backend.close()
            await upstream.gone(1)

    run(test(), loop)


@both_loops
def test_the_certificate_is_the_upstreams_not_the_proxys(loop: str, authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        tls = server_side(authority, "another.example")
        async with serve(play(CHUNKED), tls=tls) as upstream, proxy(upstream.port) as between:
            backend = client(authority, tmp_path, {"HTTPS_PROXY": between.url})
            failure = await ask(backend, target(f"https://{HOST}"))[0].failure()
            assert failure.cause is Cause.UPSTREAM_UNREACHABLE
            assert "certificate" in failure.message
            assert not upstream.requests

    run(test(), loop)


@both_loops
@pytest.mark.parametrize(
    ("answer", "after", "word"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n", b"", "407"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", b"no such host", "502"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", b"", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"a" * 70_000, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"early words", "spoke before|speak HTTP"),
        (b"", b"", "closed the connection"),
    ],
)
def test_a_proxy_that_does_not_open(
    loop: str, answer: bytes, after: bytes, word: str, authority: trustme.CA, tmp_path: Path
) -> None:
    async def test() -> None:
        async with proxy(1, answer, after) as between:
            backend = client(authority, tmp_path, {"HTTPS_PROXY": between.url})
            failure = await ask(backend, target(f"https://{HOST}"))[0].failure()
            assert failure.cause is Cause.UPSTREAM_UNREACHABLE
            assert any(each in failure.message for each in word.split("|"))
            for secret in ("canary", "127.0.0.1", HOST):
                assert secret not in failure.message

    run(test(), loop)


@both_loops
def test_a_call_that_leaves_closes_the_tunnel(loop: str, authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(play(end="stall")) as silent:  # as a proxy: it hears CONNECT and says nothing
            backend = client(authority, tmp_path, {"HTTPS_PROXY": f"http://127.0.0.1:{silent.port}"})
            ears, call = ask(backend, target(f"https://{HOST}"))
            await silent.asked(1)
            call.cancel()
            assert ears.endings == [Cancelled()]
            await silent.gone(1)
            failure = await ask(backend, target(f"https://{HOST}", Deadlines(connect=0.05)))[0].failure()
            assert failure.cause is Cause.UPSTREAM_TIMEOUT

    run(test(), loop)


def test_a_proxy_that_is_not_there(authority: trustme.CA, tmp_path: Path) -> None:
    async def test() -> None:
        backend = client(authority, tmp_path, {"HTTPS_PROXY": "http://proxy.invalid:3128"})
        failure = await ask(backend, target(f"https://{HOST}"))[0].failure()
        assert failure.cause is Cause.UPSTREAM_UNREACHABLE
        assert "HTTPS_PROXY names can't be reached" in failure.message
        assert "proxy.invalid" not in failure.message

    run(test())


ONE = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "environ", "through"),
    [
        ("https://a.example", ONE, True),
        ("https://a.example", {"https_proxy": "proxy:3128"}, True),
        ("https://a.example", {**ONE, "https_proxy": "http://lower:1"}, True),
        ("https://a.example", {}, False),
        ("https://a.example", {"HTTPS_PROXY": ""}, False),
        ("https://a.example", {"HTTP_PROXY": "http://proxy:3128"}, False),
        ("http://a.example", ONE, False),
        ("unix:/a.sock", ONE, False),
        ("https://localhost", ONE, False),
        ("https://127.0.0.2:8443", ONE, False),
        ("https://[::1]", ONE, False),
        ("https://a.example", {**ONE, "NO_PROXY": "*"}, False),
        ("https://a.example", {**ONE, "NO_PROXY": "b.example, A.example"}, False),
        ("https://a.example", {**ONE, "no_proxy": ".example"}, False),
        ("https://a.example", {**ONE, "no_proxy": "example"}, False),
        ("https://a.example", {**ONE, "no_proxy": "*.example"}, False),
        ("https://aexample", {**ONE, "no_proxy": "example"}, True),
        ("https://a.example", {**ONE, "no_proxy": "a.example:443"}, False),
        ("https://a.example", {**ONE, "no_proxy": "a.example:8443"}, True),
        ("https://10.1.2.3", {**ONE, "no_proxy": "10.1.2.3"}, False),
        ("https://a.example", {**ONE, "no_proxy": ", ,"}, True),
    ],
)
def test_which_way(url: str, environ: dict[str, str], through: bool) -> None:
    assert (Proxies(environ).way(parse(url)[0]) is not None) == through


@pytest.mark.parametrize("url", ["https://proxy:3128", "socks5://proxy", "http://", "http://proxy:none", "http://[::1"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(NoTunnel, match="HTTPS_PROXY is no address"):
        Proxies({"HTTPS_PROXY": url}).way(Address("a.example", 443, tls=True))


def test_a_login_has_no_text() -> None:
    proxy = Proxies({"HTTPS_PROXY": f"http://{LOGIN}@proxy"}).way(Address("a.example", 443, tls=True))
    assert proxy is not None
    assert proxy.login == "someone:canary-pass:word"
    assert "canary" not in f"{proxy} {proxy!r}"
