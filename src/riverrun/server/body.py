"""The body of a request, on its way in from one client: it comes in pieces, and somebody may wait for the whole."""

from __future__ import annotations

import asyncio
from typing import Protocol

from riverrun.failures import Cause, Failure
from riverrun.server.heads import body_too_large

HELD = 64 * 1024
"""Bytes of a body that nobody asked for yet above which no more is read from its client."""


class Body(Protocol):
    """What an exchange needs of it."""

    @property
    def reading(self) -> bool:
        """Somebody waits for what is still coming."""

    async def read(self, limit: int) -> bytes:
        """The whole of it, once. Raises Failure beyond `limit` bytes, when the client goes, or on `refuse`."""

    def refuse(self, failure: Failure) -> None:
        """Whoever waits for it gets this failure instead."""


def cut_off() -> Failure:
    """What the application hears of a body that will never be whole."""
    return Failure(Cause.BAD_REQUEST, "The connection was closed before the request was complete.")


class Source(Protocol):
    """The connection that a body comes from."""

    def wants_body(self) -> None:
        """Somebody waits for it."""

    def pause_reading(self) -> None:
        """There is enough of it for now."""

    def resume_reading(self) -> None:
        """Whatever comes next is welcome, and be it the word that the client has gone."""


class Incoming:
    """A Body that the connection feeds. One that came with its head needs no waiting, and no future."""

    __slots__ = ("_failure", "_limit", "_pieces", "_size", "_source", "_waiting", "whole")

    def __init__(self, source: Source) -> None:
        self.whole = False
        self._source: Source | None = source  # until it is whole, or nobody wants it
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = 0
        self._waiting: asyncio.Future[None] | None = None
        self._failure: Failure | None = None

    @property
    def reading(self) -> bool:
        return self._waiting is not None

    async def read(self, limit: int) -> bytes:
        """See Body."""
        if not self.whole and self._failure is None and self._size <= limit:
            await self._rest(limit)
        if self._failure is not None:
            raise self._failure
        if self._size > limit:
            raise body_too_large(limit)
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def refuse(self, failure: Failure) -> None:
        """See Body."""
        if self._waiting is not None:
            self._failure = failure
            self._wake()

    # The connection's side

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        if self._source is None:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._waiting is None:
            if self._size > HELD:
                self._source.pause_reading()
        elif self._size > self._limit:
            self._wake()

    def end(self) -> None:
        """That was all."""
        self.whole = True
        source, self._source = self._source, None
        if source is not None and self._size > HELD:  # a long one that came in one read was too much a moment ago
            source.resume_reading()
        self._wake()

    def lose(self) -> None:
        """The rest of it will not come."""
        self._failure = self._failure or cut_off()
        self.drop()

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._source = None
        self._pieces = []
        self._wake()

    async def _rest(self, limit: int) -> None:
        self._limit = limit
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            if self._source is not None:
                self._source.wants_body()
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
