"""A network that breaks on command: a relay between a client and a server, and the thread that it runs in.

The clients under test may block their thread, or be other programs; so the servers of these tests run on a loop of
their own.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Literal, NamedTuple, TypeVar, cast

T = TypeVar("T")
PATIENCE = 30.0


class Background:
    """An event loop in a thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def run(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(2 * PATIENCE)

    @contextmanager
    def entered(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        value = self.run(context.__aenter__())
        try:
            yield value
        finally:
            self.run(context.__aexit__(None, None, None))


@contextmanager
def background() -> Iterator[Background]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Background(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


COMPLETIONS = (b"POST /v1/chat/completions", b"GET /v1/chat/completions")
How = Literal["clean", "reset", "silent"]


class Cut(NamedTuple):
    """After so many bytes of the server's answers the connection ends: with FIN, with RST, or in silence."""

    after: int
    how: How = "clean"


class Relay:
    """The answer to request number i for a chat completion ends as the i-th cut says, and its connection with it; those
    after the last cut are whole."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.cuts: deque[Cut] = deque()
        self.open: set[Client] = set()
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.client, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def vanish(self) -> None:
        """The port is closed, and every connection reset: as a server that is killed."""
        assert self._server is not None
        self._server.close()
        for client in tuple(self.open):
            client.end("reset")
        await self.quiet()
        await self._server.wait_closed()

    async def quiet(self) -> None:
        """Returns once no connection is open."""
        async with asyncio.timeout(PATIENCE):
            while self.open:
                self._news.clear()
                await self._news.wait()

    def client(self) -> Client:
        """Who takes the next connection."""
        return Client(self)

    def went(self, client: Client) -> None:
        self.open.discard(client)
        self._news.set()


class Client(asyncio.Protocol):
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._asked = b""  # before the server was reached
        self._server: asyncio.Transport | None = None
        self._cut: Cut | None = None
        self._left = 0  # bytes until the cut; less than 0 once it has been made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._relay.open.add(self)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        if data.startswith(COMPLETIONS) and self._relay.cuts:
            self._cut = self._relay.cuts.popleft()
            self._left = self._cut.after
        if self._server:
            self._server.write(data)
        else:
            self._asked += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._connecting.cancel()
        if self._server:
            self._server.abort()
        self._relay.went(self)

    def reached(self, server: asyncio.Transport) -> None:
        self._server = server
        server.write(self._asked)

    def said(self, data: bytes) -> None:
        if self._cut is None:
            self._transport.write(data)
        elif self._left >= 0:
            self._transport.write(data[: self._left])
            self._left -= len(data)
            if self._left <= 0:
                self._left = -1
                self.end(self._cut.how)

    def end(self, how: How) -> None:
        if how == "reset":
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        elif how == "clean":
            self._transport.close()

    def server_lost(self) -> None:
        self._server = None
        if self._left >= 0:  # else the cut has said what becomes of the client
            self._transport.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Server(self), "127.0.0.1", self._relay.target)
        except OSError:
            self.end("reset")


class _Server(asyncio.Protocol):
    def __init__(self, client: Client) -> None:
        self._client = client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client.reached(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._client.said(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.server_lost()


@asynccontextmanager
async def relaying(target: int) -> AsyncIterator[Relay]:
    """A relay on a free port, before the server on port `target`."""
    relay = Relay(target)
    await relay.listen()
    try:
        yield relay
    finally:
        await relay.vanish()
