"""One request and its answer, as the surfaces see them, whatever host they come from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from riverrun.failures import Failure
from riverrun.runs.run import Outcome
from riverrun.server.body import Body
from riverrun.server.intent import query
from riverrun.server.stream import Header, Stream
from riverrun.wire.errors import error_body, error_headers
from riverrun.wire.jsonvalue import JsonValue

FORGOTTEN: Mapping[str, str] = MappingProxyType({})
READ = {
    name.encode("ascii"): name
    for name in (
        "accept",
        "access-control-request-headers",
        "authorization",
        "expect",
        "host",
        "idempotency-key",
        "last-event-id",
        "origin",
        "x-client-request-id",
        "x-riverrun-on-disconnect",
        "x-stainless-retry-count",
    )
}
"""The headers that anything here looks at. An SDK sends twice as many others, which are not even decoded."""

JSON = (b"content-type", b"application/json")


class Exchange:
    """`id` names the request in headers and logs: the application gives it one, and it becomes the completion's own id
    once there is one."""

    __slots__ = (
        "_body",
        "_query",
        "_stream",
        "client",
        "client_request_id",
        "extra",
        "headers",
        "id",
        "method",
        "outcome",
        "path",
        "scheme",
        "status",
        "way",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Sequence[Header],
        client: str,
        body: Body,
        stream: Stream,
        scheme: str = "http",
    ) -> None:
        """`headers` have their names in lower case; the host has refused repeated ones where that matters.
        `client` is its address."""
        self.id = ""
        self.method = method
        self.path = path
        self.headers: Mapping[str, str] = {
            READ[name]: value.decode("latin-1") for name, value in headers if name in READ
        }
        """Those of `READ`."""
        self.client = client
        self.scheme = scheme
        self.status = 0
        """Of the answer, once it has been given."""
        self.outcome: asyncio.Future[Outcome] | None = None
        """How the run of this request went, where it began one."""
        self.way: Literal["joined", "replayed", "resumed"] | None = None
        """How it came to an answer that another request began."""
        self.client_request_id: str | None = None
        """What the client calls it."""
        self.extra: list[Header] = []
        self._query = query
        self._body = body
        self._stream = stream

    @property
    def query(self) -> dict[str, str]:
        """The parameters behind the path's `?`."""
        return query(self._query) if self._query else {}

    @property
    def shown_path(self) -> str:
        """The path as it may stand in a message or a log: short, and without control characters."""
        return "".join(letter if letter.isprintable() else "?" for letter in self.path[:200])

    def body(self, limit: int) -> Awaitable[bytes]:
        """The whole request body. Raises Failure beyond `limit` bytes, when the client goes, or on `hang_up`."""
        return self._body.read(limit)

    @property
    def reading(self) -> bool:
        """The body is still coming."""
        return self._body.reading

    def hang_up(self, failure: Failure) -> None:
        """Whoever still sends the body is answered with this failure instead."""
        self._body.refuse(failure)

    def stream(self) -> Stream:
        """The way to answer in pieces, and to hear that the client has gone. Read the body before."""
        self._stream.listen()
        return self._stream

    def forget(self) -> None:
        """Its answer may run for long: what was asked is not kept for so long."""
        self.headers = FORGOTTEN
        self._query = b""

    def answer(self, status: int, body: bytes | None, headers: list[Header]) -> Awaitable[None]:
        """A whole answer; None for a body of unknown length that nobody gets, as the answer to a HEAD."""
        self.status = status
        every = [(b"x-request-id", self.id.encode("ascii")), *self.extra]
        if status != 204 and body is not None:
            every.append((b"content-length", b"%d" % len(body)))
        every += headers
        self._stream.answer(status, every, b"" if body is None or self.method == "HEAD" else body)
        return self._stream.done()

    def json(self, value: JsonValue | msgspec.Struct | msgspec.Raw, headers: Iterable[Header] = ()) -> Awaitable[None]:
        return self.answer(200, msgspec.json.encode(value), [JSON, *headers])

    def fail(self, failure: Failure) -> Awaitable[None]:
        """The failure as an HTTP error, in the official shape."""
        told = [pair for pair in error_headers(failure, self.id) if pair[0] != b"x-request-id"]
        return self.answer(failure.status, error_body(failure, request_id=self.id), [JSON, *told])
