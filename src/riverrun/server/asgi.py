"""The application on any other ASGI host: a request's body and the way out of its answer, through `receive` and `send`.

Knows ASGI, so that nothing else has to.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import cast

from riverrun.failures import Failure
from riverrun.server.body import cut_off
from riverrun.server.exchange import Exchange
from riverrun.server.heads import body_too_large
from riverrun.server.stream import Header, StreamCut

Scope = MutableMapping[str, object]
Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HIGH_WATER = 64 * 1024
"""Bytes waiting for a slow `send` above which `AsgiStream` asks its writer to stop."""


def exchange(scope: Scope, receive: Receive, send: Send) -> Exchange:
    """The request of this scope, and the way to answer it."""
    return Exchange(
        cast("str", scope["method"]),
        cast("str", scope["path"]),
        cast("bytes", scope.get("query_string") or b""),
        cast("list[Header]", scope["headers"]),
        cast("tuple[str, int]", scope.get("client") or ("local", 0))[0],
        AsgiBody(receive),
        AsgiStream(receive, send),
        cast("str", scope.get("scheme") or "http"),
    )


class AsgiBody:
    """A Body that is received."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._reader: asyncio.Task[object] | None = None
        self._refusal: Failure | None = None

    @property
    def reading(self) -> bool:
        return self._reader is not None

    async def read(self, limit: int) -> bytes:
        """See Body."""
        self._reader = asyncio.current_task()
        try:
            return await self._read(limit)
        except asyncio.CancelledError:
            if self._refusal is None or self._reader is None:
                raise
            self._reader.uncancel()
            raise self._refusal from None
        finally:
            self._reader = None

    def refuse(self, failure: Failure) -> None:
        """See Body."""
        if self._reader is not None:
            self._refusal = failure
            self._reader.cancel()

    async def _read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise cut_off()
            piece = cast("bytes", message.get("body", b""))
            size += len(piece)
            if size > limit:
                raise body_too_large(limit)
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)


class AsgiStream:
    """A Stream. `done` is what sends; one task listens for the client's leaving."""

    def __init__(self, receive: Receive, send: Send, high_water: int = HIGH_WATER) -> None:
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self._receive = receive
        self._send = send
        self._high_water = high_water
        self._waiting: deque[Message] = deque()
        self._size = 0  # bytes in _waiting
        self._behind = False  # the last write was answered with False
        self._ended = False  # finish or abort was called
        self._cut = False
        self._wake = asyncio.Event()
        self._listener: asyncio.Future[None] | None = None

    def listen(self) -> None:
        """See Stream. From now on `receive` is this stream's."""
        if self._listener is None:
            self._listener = asyncio.ensure_future(self._listen())

    def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        """See Stream."""
        self.start(status, headers)
        self._put({"type": "http.response.body", "body": body, "more_body": False}, len(body))
        self._ended = True

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

    async def done(self) -> None:
        """See Stream."""
        try:
            while not (self.gone or (self._ended and not self._waiting)):
                await self._wake.wait()
                self._wake.clear()
                await self._drain()
        finally:
            if self._listener is not None:
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

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._lose()

    def _lose(self) -> None:
        if self.gone or (self._ended and not self._waiting):
            return
        self.gone = True
        self._wake.set()
        if self.on_gone is not None and not self._ended:
            self.on_gone()
