"""The direct writer: a Stream that puts an answer on the transport in one write per block, with no task or queue.

Knows HTTP/1 framing; what is streamed, and why it ends, is its caller's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from riverrun.server.lines import Header, header_lines, status_line

BODILESS = frozenset({204, 304})
LAST_CHUNK = b"0\r\n\r\n"


class Defaults(Protocol):
    """What all connections of a server share."""

    @property
    def defaults(self) -> bytes:
        """The lines that stand in every head; they change with the time."""


class Connection(Protocol):
    """What a direct writer needs of the connection it writes to."""

    transport: asyncio.Transport
    behind: bool
    """Whether more than the allowed bytes wait for the client."""

    expected: bool
    """The client said 100-continue, and was not told to go on."""

    @property
    def serving(self) -> Defaults:
        """What it has in common with others."""

    def awaited(self) -> bool:
        """Whether a client that said so still waits to be told to send the body of this request."""

    def close(self) -> None:
        """Closes after what was written, without hurting it."""

    def cut(self, *, reset: bool) -> None:
        """Closes after what was written; with `reset` so that the peer sees an error and not an end."""

    def settle(self) -> None:
        """The answer may take long: what can be made again later is not kept meanwhile."""

    def answered(self) -> None:
        """The answer is complete."""


class DirectStream:
    """A Stream on riverrun's own host.

    The body is chunked, so a client can tell an end from a cut. Where the caller gives a content-length it is sent as
    it is. HTTP/1.0 knows no chunks and its body ends with the connection; there an abort resets the connection, which
    is the only sign of a cut that is left (bytes still in our kernel's buffer may be lost with it).
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_done",
        "_head",
        "_left",
        "_send",
        "_silent",
        "_steady",
        "complete",
        "gone",
        "keep_alive",
        "old",
        "on_gone",
        "on_resume",
        "open_ended",
        "started",
    )

    def __init__(self, connection: Connection, *, silent: bool, old: bool, keep_alive: bool) -> None:
        """`silent`: only the head is sent, as to a HEAD request. `old`: the client speaks HTTP/1.0."""
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.started = False
        self.complete = False
        self.keep_alive = keep_alive
        self.open_ended = False  # the body ends where the connection does, so a plain close would look like its end
        self._connection = connection
        self._send = connection.transport.write
        self._silent = silent
        self.old = old
        self._chunked = False
        self._left: int | None = None  # bytes still due, where a content-length was given
        self._head = b""  # until it goes out
        self._steady = False  # nothing but chunks is to be written now: the head is out, and the client is there
        self._done: asyncio.Future[None] | None = None

    def listen(self) -> None:
        """See Stream. It always does."""

    def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """See Stream. Raises as `start`."""
        if self.gone:
            return
        self._begin(status, headers)
        self._send(self._head + b"\r\n" + body if self.keep_alive else self._closing_head() + body)
        self._head = b""
        self._complete()

    def start(self, status: int, headers: list[Header]) -> None:
        """See Stream. Raises ValueError for a header that would not be one line, RuntimeError when called twice."""
        if self.gone:
            return
        self._begin(status, headers)
        self._silent = self._silent or status in BODILESS
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
        if self._left is None and not self._silent:
            self.open_ended = self.old
            self._chunked = not self.old
        if self._chunked:
            self._head += b"transfer-encoding: chunked\r\n"
        self._head = self._head + b"\r\n" if self.keep_alive else self._closing_head()

    def write(self, block: bytes) -> bool:
        """See Stream."""
        if not (self._steady and block):
            return self._write_otherwise(block)
        self._send(b"%x\r\n%b\r\n" % (len(block), block))
        return not self._connection.behind

    def finish(self) -> None:
        """See Stream. An answer shorter than its content-length is cut instead, for it is not whole."""
        if self.gone or self.complete:
            return
        if self._left and not self._silent:
            self.abort()
            return
        end = self._taken_head() + (LAST_CHUNK if self._chunked else b"")
        if end:
            self._send(end)
        self._complete()

    def abort(self) -> None:
        """See Stream."""
        if self.gone or self.complete:
            return
        self._flush()
        self.gone = True
        self._end()
        self._connection.cut(reset=self.open_ended)

    async def done(self) -> None:
        """See Stream."""
        if self.gone or self.complete:
            return
        self._flush()
        self._connection.settle()
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
        await self._done

    def resumed(self) -> None:
        """The connection says: the client has caught up."""
        if self.on_resume is not None and not (self.gone or self.complete):
            self.on_resume()

    def lost(self) -> None:
        """The connection says: the client has gone."""
        if self.gone or self.complete:
            return
        self.gone = True
        told = self.on_gone
        self._end()
        if told is not None:
            told()

    def _begin(self, status: int, headers: list[Header]) -> None:
        if self.started:
            raise RuntimeError("the answer was already started")
        lines = header_lines(headers)
        self.started = True
        connection = self._connection
        if connection.expected and connection.awaited():  # the client may or may not send the body that nobody wants
            self.keep_alive = False
        self._head = status_line(status) + connection.serving.defaults + lines

    def _closing_head(self) -> bytes:
        return self._head + b"connection: close\r\n\r\n"

    def _write_otherwise(self, block: bytes) -> bool:
        """The first block, which goes out with the head; and one that is no chunk."""
        if self.gone or self.complete:
            return False
        if not block or self._silent:
            return True
        if self._chunked:
            self._steady = True
            block = b"%b%x\r\n%b\r\n" % (self._taken_head(), len(block), block)
        else:
            self._take(len(block))
            block = self._taken_head() + block
        self._send(block)
        return not self._connection.behind

    def _taken_head(self) -> bytes:
        head, self._head = self._head, b""
        return head

    def _flush(self) -> None:
        if self._head:
            self._send(self._taken_head())

    def _take(self, size: int) -> None:
        if self._left is not None:
            if size > self._left:
                raise RuntimeError("the answer is longer than its content-length")
            self._left -= size

    def _complete(self) -> None:
        self.complete = True
        self._end()
        if not self.keep_alive:
            self._connection.close()
        self._connection.answered()

    def _end(self) -> None:
        """Nobody is told anything more: what would have been told is let go of."""
        self._steady = False
        self.on_gone = self.on_resume = None
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
