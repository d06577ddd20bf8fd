"""The way to an upstream through a proxy: whether there is one, and its tunnel (CONNECT, RFC 9110 9.3.6).

The operator's environment alone names it: HTTPS_PROXY, and NO_PROXY with the hosts that are reached directly (names,
which stand for all below them too, `host:port`, or `*`). So are plain-text upstreams and the loopback, always.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from typing import cast
from urllib.parse import unquote, urlsplit

import msgspec

from riverrun.backends.address import Address
from riverrun.backends.connection import MAX_HEAD, Connection

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


class NoTunnel(OSError):
    """Why there is no way through the proxy; `strerror` holds no address and no login, and may be shown."""


class Proxy(msgspec.Struct, frozen=True):
    """`login` is "user:password", or empty."""

    host: str
    port: int
    login: str = ""

    def __repr__(self) -> str:
        return "Proxy(…)"


class Proxies:
    """Which way to take, as the environment says; lower-case names come first, as everywhere."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._url = environ.get("https_proxy") or environ.get("HTTPS_PROXY") or ""
        bare = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        self._bare = [
            each.strip().lower().removeprefix("*").removeprefix(".") or "*" for each in bare.split(",") if each.strip()
        ]

    def way(self, address: Address) -> Proxy | None:
        """None: directly. Raises NoTunnel for an HTTPS_PROXY that is no address."""
        if not self._url or not address.tls or _loopback(address.host) or self._direct(address):
            return None
        return _proxy(self._url)

    def _direct(self, address: Address) -> bool:
        host = address.host.lower()
        return any(each in ("*", host, f"{host}:{address.port}") or host.endswith(f".{each}") for each in self._bare)


async def tunnel(connection: Connection, proxy: Proxy, tls: ssl.SSLContext) -> None:
    """Connects to the connection's address through `proxy`: TLS runs from end to end. Raises OSError."""
    loop = asyncio.get_running_loop()
    address = connection.address
    try:
        transport, ear = await loop.create_connection(_Ear, proxy.host, proxy.port)
    except OSError as error:
        raise NoTunnel(error.errno or 0, "the proxy that HTTPS_PROXY names can't be reached") from None
    try:
        transport.write(_connect(address, proxy))
        await ear.open
        inner = await loop.start_tls(transport, connection, tls, server_hostname=address.host)
        if inner is None:  # it was closed in the meantime
            raise ConnectionResetError("closed by the proxy")
    except BaseException:
        transport.abort()
        raise
    connection.connection_made(inner)


class _Ear(asyncio.Protocol):
    """Hears the proxy's answer, which is one head; the server behind it is silent until TLS begins."""

    def __init__(self) -> None:
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        status = STATUS.match(self._head)
        if self.open.done() or len(self._head) > MAX_HEAD or (end >= 0 and not status):
            self._refuse("the proxy that HTTPS_PROXY names does not speak HTTP")
        elif status and end >= 0:
            self._answered(status[1].decode(), whole=end + 4 == len(self._head))

    def connection_lost(self, exc: Exception | None) -> None:
        self._refuse("the proxy that HTTPS_PROXY names closed the connection")

    def _answered(self, status: str, whole: bool) -> None:
        if status[0] != "2":
            self._refuse(f"the proxy that HTTPS_PROXY names answered {status} to CONNECT")
        elif not whole:
            self._refuse("the proxy that HTTPS_PROXY names spoke before its tunnel was used")
        else:
            self.open.set_result(None)

    def _refuse(self, why: str) -> None:
        self._transport.abort()
        if not self.open.done():
            self.open.set_exception(NoTunnel(0, why))


def _connect(address: Address, proxy: Proxy) -> bytes:
    host = f"[{address.host}]" if ":" in address.host else address.host
    place = f"{host}:{address.port}"
    login = b64encode(proxy.login.encode()).decode()
    shown = f"proxy-authorization: Basic {login}\r\n" if login else ""
    return f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n{shown}\r\n".encode("ascii")


def _proxy(text: str) -> Proxy:
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = url.hostname, url.port or 80
    except ValueError:
        host = None
    if host is None or url.scheme != "http":
        raise NoTunnel(0, "HTTPS_PROXY is no address of a proxy; write http://[user:password@]host:port")
    login = f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username else ""
    return Proxy(host, port, login)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
