"""One answer on its way to one client, pushed by plain calls: what a follower of a tape writes to.

`Stream` is the interface. riverrun's own host puts a direct writer to the transport in the scope; on any other ASGI
host `AsgiStream` does the same through `send`. Knows ASGI, and nothing of chat or events.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Protocol, cast

EXTENSION = "riverrun.stream"
"""The key in `scope["extensions"]` under which the host offers its direct writer."""

Header = tuple[bytes, bytes]
Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HIGH_WATER = 64 * 1024
"""Bytes waiting for a slow `send` above which `AsgiStream` asks its writer to stop."""


class StreamCut(ConnectionAbortedError):
    """Raised out of `done` after `abort` on a foreign host: let it leave the application, so that the host cuts."""


class Stream(Protocol):
    """Who opened one calls `start`, any number of `write`, then `finish` or `abort`; and awaits `done`, or `leave`s.

    `gone`: the client is no longer there; everything written from now on is dropped. `on_gone` is called once when
    that happens before `finish` or `abort`, also before `start`; `on_resume` when writing is welcome again.
    """

    gone: bool
    on_gone: Callable[[], None] | None
    on_resume: Callable[[], None] | None

    def start(self, status: int, headers: list[Header]) -> None:
        """Sends status and headers, once. Without a content-length the body's length is open."""

    def write(self, block: bytes) -> bool:
        """Sends a block, in one write. False: taken, but the client is behind; stop until `on_resume`."""

    def finish(self) -> None:
        """The answer is whole: ends it, and the connection stays usable."""

    def abort(self) -> None:
        """The answer is broken: what was written still goes out, then the connection is cut without a clean end."""

    async def done(self) -> None:
        """Returns once the answer was finished, aborted, or its client has gone. Raises StreamCut (see there)."""

    def leave(self) -> None:
        """Nothing was started and nothing will be: the answer goes another way."""


def open_stream(scope: Scope, receive: Receive, send: Send) -> Stream:
    """The host's direct writer, or the adapter. Read the request's body before: the adapter takes over `receive`."""
    extensions = cast("dict[str, Stream]", scope.get("extensions") or {})
    return extensions.get(EXTENSION) or AsgiStream(receive, send)


class AsgiStream:
    """A Stream on any ASGI host. `done` is what sends; one task listens for the client's leaving."""

    def __init__(self, receive: Receive, send: Send, high_water: int = HIGH_WATER) -> None:
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self._send = send
        self._high_water = high_water
        self._waiting: deque[Message] = deque()
        self._size = 0  # bytes in _waiting
        self._behind = False  # the last write was answered with False
        self._ended = False  # finish or abort was called
        self._cut = False
        self._wake = asyncio.Event()
        self._listener = asyncio.ensure_future(self._listen(receive))

    def start(self, status: int, headers: list[Header]) -> None:
        """See Stream."""
        self._put({"type": "http.response.start", "status": status, "headers": headers}, 0)

    def write(self, block: bytes) -> bool:
        """See Stream. The client is behind when more than `high_water` bytes wait for `send`."""
        self._put({"type": "http.response.body", "body": block, "more_body": True}, len(block))
        self._behind = self.gone or self._size > self._high_water
        return not self._behind

    def finish(self) -> None:
        """See Stream."""
        self._put({"type": "http.response.body", "body": b"", "more_body": False}, 0)
        self._ended = True

    def abort(self) -> None:
        """See Stream."""
        self._ended = self._cut = True
        self._wake.set()

    def leave(self) -> None:
        """See Stream."""
        self._ended = True
        self._listener.cancel()

    async def done(self) -> None:
        """See Stream."""
        try:
            while not (self.gone or (self._ended and not self._waiting)):
                await self._wake.wait()
                self._wake.clear()
                await self._drain()
        finally:
            self._listener.cancel()
            await asyncio.wait((self._listener,))
        if self._cut and not self.gone:
            raise StreamCut("the answer broke off; its connection is cut so that it cannot look finished")

    def _put(self, message: Message, size: int) -> None:
        if self.gone or self._ended:
            return
        self._waiting.append(message)
        self._size += size
        self._wake.set()

    async def _drain(self) -> None:
        while self._waiting and not self.gone:
            message = self._waiting.popleft()
            try:
                await self._send(message)
            except OSError:  # "an OSError ... if the connection is closed" (ASGI 2.4)
                self._lose()
                return
            self._size -= len(cast("bytes", message.get("body", b"")))
            if self._behind and self._size <= self._high_water // 4 and not self._ended:
                self._behind = False
                if self.on_resume is not None:
                    self.on_resume()

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._lose()

    def _lose(self) -> None:
        if self.gone or (self._ended and not self._waiting):
            return
        self.gone = True
        self._wake.set()
        if self.on_gone is not None and not self._ended:
            self.on_gone()
