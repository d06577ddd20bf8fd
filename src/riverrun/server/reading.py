"""What a client sends, taken apart into requests: httptools' parser with the limits and rules that it leaves open.

Knows no socket and no answer. What must not be answered is a Failure out of `feed`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import NoReturn

import httptools

from riverrun.failures import Cause, Failure
from riverrun.server.body import Incoming
from riverrun.server.heads import Head, body_too_large, broken, check_head, head_too_large, without_upgrade
from riverrun.server.limits import HostLimits

logger = logging.getLogger("riverrun.server")


class Phase(Enum):
    """What the next byte from the client belongs to."""

    IDLE = 0
    HEAD = 1
    BODY = 2


IDLE, HEAD, BODY = Phase  # as globals: a member is looked up with a call


class Reading:
    """One connection's requests, one after another. `asked` gets each complete head, and gives the body to fill."""

    __slots__ = (
        "_asked",
        "_fault",
        "_head_raw",
        "_head_size",
        "_headers",
        "_limits",
        "_loop",
        "_parser",
        "_quiet",
        "_target",
        "begun",
        "body",
        "body_size",
        "phase",
        "since",
    )

    def __init__(self, limits: HostLimits, loop: asyncio.AbstractEventLoop, asked: Callable[[Head], Incoming]) -> None:
        self.phase = HEAD
        self.begun = False  # the parser has seen the first byte of the request
        self.since: float | None = loop.time()  # when the deadlines of the request began
        self.body: Incoming | None = None  # of the request that is being received
        self.body_size = 0
        self._limits = limits
        self._loop = loop
        self._asked: Callable[[Head], Incoming] | None = asked
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0  # bytes of the head as parsed
        self._quiet = 0  # bytes of the reads since the last one of the body: chunk extensions, trailers
        self._head_raw = 0  # bytes of the head as read, whatever the parser still holds back
        self._fault: Failure | None = None  # why a callback stopped the parser
        self._parser: httptools.HttpRequestParser | None = self._fresh()

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises Failure: nothing that follows can be read."""
        if self.phase is IDLE:
            self.phase, self.since, self._head_raw = HEAD, self._loop.time(), 0
        in_head = self.phase is HEAD
        if in_head and not self.begun:
            data = without_upgrade(data)
        elif self.phase is BODY:
            self._quiet += len(data)
        if self._parser is None:
            self._parser = self._fresh()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise self._fault or _fault(error) from None
        if self._quiet > self._limits.head:
            raise head_too_large(f"What frames the request's body is larger than {self._limits.head} bytes")
        if in_head and self.phase is HEAD:
            self._head_raw += len(data)
            if self._head_raw > self._limits.head:
                raise self._large_head()

    def rest(self) -> None:
        """Nothing need come for long, as while a stream runs: the parser, a kilobyte, is let go of."""
        if self.phase is IDLE:
            self._parser = None

    def close(self) -> None:
        """Nothing more is fed: lets go of what it would have told."""
        self._asked = None
        self._parser = None  # it holds on to us
        if self.body is not None:
            self.body.lose()
            self.body = None

    def _fresh(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # a request may stand behind one that closes: that one is answered all the same, and nothing after it
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    # What the parser calls. An exception stops it, and `feed` finds why in `_fault`.

    def on_message_begin(self) -> None:
        self.phase, self.begun = HEAD, True
        self.since = self.since or self._loop.time()
        self._target, self._headers = b"", []
        self._head_size = self._head_raw = self._quiet = self.body_size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_size += len(url)
        if self._head_size > self._limits.head:
            self._stop(self._large_head())

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value) + 4
        headers = self._headers
        if self._head_size > self._limits.head:
            self._stop(self._large_head())
        if self.phase is BODY:
            return  # a trailer: nothing of ours reads it, and it must not pass for a header
        headers.append((name.lower(), value))
        if len(headers) > self._limits.headers:
            self._stop(head_too_large(f"The request has more than {self._limits.headers} headers"))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert self._asked is not None
        assert parser is not None
        head = Head(
            parser.get_method(),
            self._target,
            parser.get_http_version(),
            self._headers,
            keep_alive=parser.should_keep_alive(),
        )
        try:
            check_head(head.method, head.target, head.version, head.headers, self._limits)
            if parser.should_upgrade():
                raise broken("Only HTTP/1.1 is spoken here. Send the request without its Upgrade header.")
            self.body = self._asked(head)
        except Failure as failure:
            self._stop(failure)
        self.phase = BODY
        self._target, self._headers = b"", []

    def on_body(self, body: bytes) -> None:
        assert self.body is not None
        self._quiet = 0
        self.body_size += len(body)
        if self.body_size > self._limits.body:
            self._stop(body_too_large(self._limits.body))
        self.body.feed(body)

    def on_message_complete(self) -> None:
        assert self.body is not None
        self.body.end()
        self.body = None
        self.phase, self.begun, self.since = IDLE, False, None

    def _large_head(self) -> Failure:
        return head_too_large(f"The request's head is larger than {self._limits.head} bytes")

    def _stop(self, failure: Failure) -> NoReturn:
        self._fault = failure
        raise failure


def _fault(error: Exception) -> Failure:
    """What the parser says against the bytes; or a fault of ours in what it called."""
    if isinstance(error, httptools.HttpParserCallbackError):
        logger.error("a request's head could not be read", exc_info=error.__context__)
        return Failure(Cause.INTERNAL, "The server failed to read the request. Please report it.")
    return broken(f"This is not a valid HTTP/1.1 request: {error}.")
