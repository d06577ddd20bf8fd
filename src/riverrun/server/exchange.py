"""One request and its answer, as the surfaces see them. Knows ASGI so that no surface has to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import cached_property
from typing import Literal, cast

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.runs.run import Outcome
from riverrun.server.intent import query
from riverrun.server.stream import Header, Receive, Scope, Send, Stream, open_stream
from riverrun.wire.errors import error_body, error_headers
from riverrun.wire.jsonvalue import JsonValue

JSON = (b"content-type", b"application/json")


class Exchange:
    """`id` names the request in headers and logs; it becomes the completion's own id once there is one."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, id: str) -> None:
        self.id = id
        self.method = cast("str", scope["method"])
        self.path = cast("str", scope["path"])
        self.scheme = cast("str", scope.get("scheme") or "http")
        self.client = cast("tuple[str, int]", scope.get("client") or ("local", 0))[0]
        self.status = 0
        """Of the answer, once it has been given."""
        self.outcome: Awaitable[Outcome] | None = None
        """How the run of this request went, where it began one."""
        self.way: Literal["joined", "replayed", "resumed"] | None = None
        """How it came to an answer that another request began."""
        self.extra: list[Header] = []
        self._reading: asyncio.Task[object] | None = None  # who waits for the body
        self._refusal: Failure | None = None
        self._scope = scope
        self._receive = receive
        self._send = send

    @property
    def raw_headers(self) -> list[Header]:
        return cast("list[Header]", self._scope["headers"])

    @cached_property
    def headers(self) -> dict[str, str]:
        """By lower-case name. The protocol has refused repeated ones where that matters."""
        return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self.raw_headers}

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters behind the path's `?`."""
        return query(cast("bytes", self._scope.get("query_string") or b""))

    @property
    def shown_path(self) -> str:
        """The path as it may stand in a message or a log: short, and without control characters."""
        return "".join(letter if letter.isprintable() else "?" for letter in self.path[:200])

    async def body(self, limit: int) -> bytes:
        """The whole request body. Raises Failure beyond `limit` bytes, when the client goes, or on `hang_up`."""
        self._reading = asyncio.current_task()
        try:
            return await self._body(limit)
        except asyncio.CancelledError:
            if self._refusal is None or self._reading is None:
                raise
            self._reading.uncancel()
            raise self._refusal from None
        finally:
            self._reading = None

    @property
    def reading(self) -> bool:
        """The body is still coming."""
        return self._reading is not None

    def hang_up(self, failure: Failure) -> None:
        """Whoever still sends the body is answered with this failure instead."""
        if self._reading is not None:
            self._refusal = failure
            self._reading.cancel()

    async def _body(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Failure(Cause.BAD_REQUEST, "The connection was closed before the request was complete.")
            piece = cast("bytes", message.get("body", b""))
            size += len(piece)
            if size > limit:
                raise Failure(Cause.TOO_LARGE, f"The request body is larger than {limit} bytes. Send less.")
            pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces)

    def stream(self) -> Stream:
        """The way to answer in pieces, and to hear that the client has gone."""
        return open_stream(self._scope, self._receive, self._send)

    async def answer(self, status: int, body: bytes | None, headers: list[Header]) -> None:
        """A whole answer; None for a body of unknown length that nobody gets, as the answer to a HEAD."""
        self.status = status
        length = [(b"content-length", b"%d" % len(body))] if status != 204 and body is not None else []
        every = [(b"x-request-id", self.id.encode("ascii")), *self.extra, *length, *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": every})
        await self._send({"type": "http.response.body", "body": b"" if body is None or self.method == "HEAD" else body})

    async def json(self, value: JsonValue | msgspec.Struct | msgspec.Raw, headers: list[Header] | None = None) -> None:
        await self.answer(200, msgspec.json.encode(value), [JSON, *(headers or [])])

    async def fail(self, failure: Failure) -> None:
        """The failure as an HTTP error, in the official shape."""
        told = [pair for pair in error_headers(failure, self.id) if pair[0] != b"x-request-id"]
        await self.answer(failure.status, error_body(failure, request_id=self.id), [JSON, *told])
