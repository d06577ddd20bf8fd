"""Connections between two requests: opens them, keeps a bounded number idle, and closes what nobody asks for.

Knows addresses and TLS; knows nothing of targets, requests or why a connection failed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import cached_property

import msgspec

from riverrun.backends.address import Address
from riverrun.backends.connection import Connection
from riverrun.backends.tunnel import Proxies, tunnel


class Keeping(msgspec.Struct, frozen=True):
    """How connections are kept.

    `ca_bundle` is a PEM file that takes the place of the system's authorities. `idle` is in seconds: many servers
    close after 60, some after 5, and one that closes first costs a retry. `per_address` bounds the idle ones only.
    """

    ca_bundle: str | None = None
    idle: float = 30.0
    per_address: int = 64


KEEPING = Keeping()


class Pool:
    """Idle connections by address, newest used first, so that the surplus grows old and is closed."""

    def __init__(self, keeping: Keeping, environ: Mapping[str, str]) -> None:
        """`environ` may name a proxy; a bundle that can't be read is an OSError."""
        self._keeping = keeping
        self._proxies = Proxies(environ)
        self._open: set[Connection] = set()
        self._idle: dict[Address, dict[Connection, float]] = {}  # with the time since when, oldest first
        self._sweep: asyncio.TimerHandle | None = None
        self.closed = False
        if keeping.ca_bundle is not None:
            _ = self._tls  # a bundle that can't be read is an error of the start, not of the first request

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._keeping.ca_bundle)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def take(self, address: Address) -> Connection | None:
        """An idle connection, if there is one that is not known to be dead."""
        shelf = self._idle.get(address)
        while shelf:
            connection, _ = shelf.popitem()
            if connection.usable:
                return connection
        return None

    async def open(self, address: Address) -> Connection:
        """A new connection. Raises OSError (ssl.SSLError, socket.gaierror and NoTunnel are such)."""
        if self.closed:
            raise ConnectionAbortedError("the client is closed")
        loop = asyncio.get_running_loop()
        connection = Connection(address, self)
        proxy = self._proxies.way(address)
        if proxy is not None:
            await tunnel(connection, proxy, self._tls)
        elif address.socket:
            await loop.create_unix_connection(lambda: connection, address.socket)
        else:
            tls = self._tls if address.tls else None
            await loop.create_connection(lambda: connection, address.host, address.port, ssl=tls)
        if not connection.usable:
            raise ConnectionResetError("closed as soon as it was open")
        self._open.add(connection)
        return connection

    def rest(self, connection: Connection) -> None:
        shelf = self._idle.setdefault(connection.address, {})
        if self.closed or self._keeping.per_address < 1:
            connection.abort()
            return
        if len(shelf) >= self._keeping.per_address:
            oldest = next(iter(shelf))
            del shelf[oldest]
            oldest.abort()
        loop = asyncio.get_running_loop()
        shelf[connection] = loop.time()
        if self._sweep is None:
            self._sweep = loop.call_later(self._keeping.idle, self._close_old)

    def forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        shelf = self._idle.get(connection.address)
        if shelf is not None:
            shelf.pop(connection, None)
            if not shelf:
                del self._idle[connection.address]

    def close(self) -> None:
        """Close every connection, also one that is answering. Nothing can be opened after it."""
        self.closed = True
        if self._sweep:
            self._sweep.cancel()
        self._idle.clear()
        for connection in tuple(self._open):
            connection.close()

    def _close_old(self) -> None:
        """One timer for all: set for the oldest idle connection, and set again while there are any."""
        loop = asyncio.get_running_loop()
        now, idle = loop.time(), self._keeping.idle
        for shelf in self._idle.values():
            # The same sum as below: another rounding would set the timer for now, for ever.
            for connection in [each for each, since in shelf.items() if since + idle <= now]:
                del shelf[connection]
                connection.abort()
        oldest = min((next(iter(shelf.values())) for shelf in self._idle.values() if shelf), default=None)
        self._sweep = None if oldest is None else loop.call_at(oldest + idle, self._close_old)
