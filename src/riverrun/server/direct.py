"""The direct writer: a Stream that puts an answer on the transport in one write per block, with no task or queue.

It completes uvicorn's request cycle as `send` would have, so that keep-alive and pipelining go on. Knows HTTP/1
framing; what is streamed, and why it ends, is its caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, RequestResponseCycle

from riverrun.server.refusals import Header, status_line

BODILESS = frozenset({204, 304})


class Connection(Protocol):
    """What a direct writer needs of the connection it writes to."""

    transport: asyncio.Transport

    @property
    def behind(self) -> bool:
        """Whether more than the allowed bytes wait for the client."""

    def cut(self, *, reset: bool) -> None:
        """Closes after what was written; with `reset` so that the peer sees an error and not an end."""


class DirectStream:
    """A Stream on riverrun's own host.

    The body is chunked, so a client can tell an end from a cut. Where the caller gives a content-length it is sent as
    it is. HTTP/1.0 knows no chunks and its body ends with the connection; there an abort resets the connection, which
    is the only sign of a cut that is left (bytes still in our kernel's buffer may be lost with it).
    """

    def __init__(self, connection: Connection, cycle: RequestResponseCycle) -> None:
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self._connection = connection
        self._transport = connection.transport
        self._cycle = cycle
        self._length: int | None = None  # bytes still due, where a content-length was given
        self.open_ended = False  # the body ends where the connection does, so a plain close would look like its end
        self._silent = cycle.scope["method"] == "HEAD"
        self._done: asyncio.Future[None] | None = None

    def start(self, status: int, headers: list[Header]) -> None:
        """See Stream. Raises ValueError for a header that would not be one line, RuntimeError when called twice."""
        if self.gone:
            return
        cycle = self._cycle
        if cycle.response_started:
            raise RuntimeError("the answer was already started")
        lines = [status_line(status), *self._lines(cycle.default_headers + headers)]
        self._silent = self._silent or status in BODILESS
        open_length = self._length is None and not self._silent
        self.open_ended = open_length and cycle.scope["http_version"] == "1.0"
        cycle.chunked_encoding = open_length and not self.open_ended
        if cycle.chunked_encoding:
            lines.append(b"transfer-encoding: chunked\r\n")
        if cycle.waiting_for_100_continue:  # the client may or may not send the body that nobody asked for
            cycle.keep_alive = False
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        self._transport.write(b"".join(lines))

    def write(self, block: bytes) -> bool:
        """See Stream."""
        if self.gone or self._cycle.response_complete:
            return False
        if not block or self._silent:
            return True
        if self._cycle.chunked_encoding:
            self._transport.write(b"%x\r\n%b\r\n" % (len(block), block))
        else:
            self._take(len(block))
            self._transport.write(block)
        return not self._connection.behind

    def finish(self) -> None:
        """See Stream. An answer shorter than its content-length is cut instead, for it is not whole."""
        cycle = self._cycle
        if self.gone or cycle.response_complete:
            return
        if self._length and not self._silent:
            self.abort()
            return
        if cycle.chunked_encoding:
            self._transport.write(b"0\r\n\r\n")
        cycle.response_complete = True
        cycle.message_event.set()
        self._end()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()

    def abort(self) -> None:
        """See Stream."""
        if self.gone or self._cycle.response_complete:
            return
        self._cycle.disconnected = True
        self._cycle.message_event.set()
        self.gone = True
        self._end()
        self._connection.cut(reset=self.open_ended)

    async def done(self) -> None:
        """See Stream."""
        if self.gone or self._cycle.response_complete:
            return
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
        await self._done

    def leave(self) -> None:
        """See Stream. There is nothing to let go of."""

    def resumed(self) -> None:
        """The connection says: the client has caught up."""
        if self.on_resume is not None and not (self.gone or self._cycle.response_complete):
            self.on_resume()

    def lost(self) -> None:
        """The connection says: the client has gone."""
        if self.gone or self._cycle.response_complete:
            return
        self.gone = True
        self._end()
        if self.on_gone is not None:
            self.on_gone()

    def _lines(self, headers: list[Header]) -> list[bytes]:
        lines = []
        for name, value in headers:
            if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
                raise ValueError(f"the header {name!r} has a character that no header may have")
            if name == b"content-length":
                self._length = int(value)
            elif name == b"connection" and value == b"close":
                self._cycle.keep_alive = False
                continue  # said once, with the others that close
            lines.append(b"%b: %b\r\n" % (name, value))
        return lines

    def _take(self, size: int) -> None:
        if self._length is not None:
            if size > self._length:
                raise RuntimeError("the answer is longer than its content-length")
            self._length -= size

    def _end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
