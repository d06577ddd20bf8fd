"""Scripted upstreams that speak real bytes over real sockets: the suite's stand-in for every hosted model.

    async with serve(Play(head(), b"data: 1\\n\\n", 0.01, gate, b"data: [DONE]\\n\\n", end="reset")) as upstream:
        ... upstream.base_url, upstream.requests, await upstream.gone(1)

Each connection serves one request after the other; request number i of the whole server gets play number i, and the
last play again once they have run out.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, NamedTuple, cast

PATIENCE = 10.0
"""Seconds after which a test that waits for an upstream fails instead of hanging."""

Step = bytes | float | asyncio.Event
"""Bytes are one write, a number is a pause in seconds, an event is waited for."""
How = Literal["keep", "clean", "reset", "half-close", "stall"]
"""Afterwards: wait for the next request, FIN, RST, FIN of our side only, or silence until the client leaves."""


class Play(NamedTuple):
    steps: tuple[Step, ...]
    end: How = "keep"


class Request(NamedTuple):
    """A request as it came; header names are in lower case."""

    line: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


def play(*steps: Step, end: How = "keep") -> Play:
    return Play(steps, end)


def head(
    status: str = "200 OK", kind: str = "text/event-stream", framing: str = "transfer-encoding: chunked", more: str = ""
) -> bytes:
    """A response's head; `framing` is one header line, or "" for a body that ends with the connection."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", *filter(None, (framing, more)), "", ""]
    return "\r\n".join(lines).encode()


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def sse(*payloads: bytes) -> bytes:
    return b"".join(b"data: %b\n\n" % payload for payload in payloads)


def whole(body: bytes, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """A complete response with a Content-Length."""
    return head(status, kind, f"content-length: {len(body)}", more) + body


class Upstream:
    """What a test sees of the server."""

    def __init__(self, plays: tuple[Play, ...]) -> None:
        self.base_url = ""
        self.port = 0
        self.requests: list[Request] = []
        self.connections = 0  # accepted so far
        self.left = 0  # closed by the client so far
        self._plays = plays
        self._news = asyncio.Event()
        self._open: set[_Connection] = set()

    async def asked(self, count: int) -> None:
        """Returns once so many requests have come in whole."""
        await self._until(lambda: len(self.requests) >= count)

    async def gone(self, count: int) -> None:
        """Returns once so many connections were closed by the client."""
        await self._until(lambda: self.left >= count)

    async def connected(self, count: int) -> None:
        """Returns once so many connections were accepted."""
        await self._until(lambda: self.connections >= count)

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                self._news.clear()
                await self._news.wait()

    def accept(self, connection: _Connection) -> int:
        self.connections += 1
        self._open.add(connection)
        self._news.set()
        return self.connections

    def lose(self, connection: _Connection, by_client: bool) -> None:
        self._open.discard(connection)
        self.left += by_client
        self._news.set()

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        self._news.set()
        return self._plays[min(len(self.requests), len(self._plays)) - 1]

    def close(self) -> None:
        for connection in tuple(self._open):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    """Reads requests and plays the answers; a client that leaves stops the play at once."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._buffer = b""
        self._playing: asyncio.Task[None] | None = None
        self._ending = False  # we are the ones who close

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._number = self._upstream.accept(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        text, blank, rest = self._buffer.partition(b"\r\n\r\n")
        line, *lines = text.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
        size = int(headers.get("content-length", "0"))
        if not blank or len(rest) < size:
            return
        self._buffer = rest[size:]
        play = self._upstream.ask(Request(line, headers, rest[:size], self._number))
        self._playing = asyncio.get_running_loop().create_task(self._play(play))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._playing is not None:
            self._playing.cancel()
        self._upstream.lose(self, by_client=not self._ending)

    async def _play(self, play: Play) -> None:
        for step in play.steps:
            if isinstance(step, bytes):
                self.transport.write(step)
            elif isinstance(step, asyncio.Event):
                await step.wait()
            else:
                await asyncio.sleep(step)
        self._ending = play.end in ("reset", "clean")
        if play.end == "reset":
            raw: socket.socket = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif play.end == "clean":
            self.transport.close()
        elif play.end == "half-close":
            self.transport.write_eof()


@asynccontextmanager
async def serve(
    *plays: Play,
    unix: Path | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    upstream: Upstream | None = None,
) -> AsyncIterator[Upstream]:
    """An upstream on a free port of the loopback, or on a Unix socket; closed with all its connections at the end.

    `upstream` takes the place of the plays where it chooses them by itself.
    """
    upstream = upstream or Upstream(plays)
    loop = asyncio.get_running_loop()
    if unix is not None:
        server = await loop.create_unix_server(lambda: _Connection(upstream), str(unix))
        upstream.base_url = f"unix:{unix}:/v1"
    else:
        server = await loop.create_server(lambda: _Connection(upstream), host, 0, ssl=tls)
        upstream.port = server.sockets[0].getsockname()[1]
        upstream.base_url = f"{'https' if tls else 'http'}://{'localhost' if tls else host}:{upstream.port}/v1"
    try:
        yield upstream
    finally:
        server.close()
        upstream.close()
        await server.wait_closed()
