"""One HTTP/1.1 connection to an upstream: bytes in, one plain call per read out.

Knows message framing and when a connection may be used again; knows nothing of events, dialects or targets.
llhttp (through httptools) parses strictly; what it leaves open (size of heads, transfer codings) is bounded here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol, cast

import httptools

from riverrun.backends.address import Address
from riverrun.failures import Cause

MAX_HEAD = 64 * 1024
"""Bytes of a status line with headers, of trailers, and of what frames the chunks between two bodies (SEC18)."""

DRAIN_SECONDS = 1.0
"""How long a connection may take to end an answer that is already complete to us, before it is closed."""

JOINED = 64 * 1024
"""Up to this size, head and body of a request are one write; a longer body is not copied."""

NO_HEADERS: Mapping[str, str] = {}
FIELDS_OF_AN_ANSWER = frozenset(
    {b"transfer-encoding", b"content-length", b"content-type", b"content-encoding", b"location"}
)
"""What a successful answer's head is asked for. The rest, two dozen fields at some, is not even decoded."""


class Answer(Protocol):
    """Who listens to a connection's answer."""

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Once; header names are in lower case. A successful answer's are `FIELDS_OF_AN_ANSWER`, a failed one's all."""

    def heard(self, block: bytes, over: bool) -> None:
        """The body's bytes of one read, perhaps none; `over` when the message ended with them."""

    def broken(self, cause: Cause, reason: str, silent: bool) -> None:
        """It ends here: cut (UPSTREAM_INTERRUPTED) or malformed. `silent`: no byte of an answer came."""


class Home(Protocol):
    """Who keeps connections between two requests."""

    def rest(self, connection: Connection) -> None:
        """Its answer is over and it may be used again."""

    def forget(self, connection: Connection) -> None:
        """It is closed."""


class TooLong(Exception):
    """A head or a trailer grew over the limit."""


class NotChunked(Exception):
    """The answer has a transfer coding that we do not speak."""


class Connection(asyncio.Protocol):
    """The methods named `on_…` are called by httptools, the others of asyncio's names by the loop."""

    __slots__ = (
        "_answer", "_drain", "_feed", "_fields", "_head_size", "_headers", "_home", "_keep", "_over", "_parser",
        "_pieces", "_quiet", "_silent", "_status", "_to_eof", "_told", "_transport", "address", "on_body",
    )  # fmt: skip

    def __init__(self, address: Address, home: Home) -> None:
        self.address = address
        self._home = home
        self._answer: Answer | None = None
        self._drain: asyncio.TimerHandle | None = None
        self._pieces: list[bytes] = []  # of the body, in the read that is being looked at
        self.on_body = self._pieces.append  # no frame of Python's for each chunk of a body
        self._over = True  # no answer is due
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self._clear()

    def _clear(self) -> None:
        """As before any answer."""
        self._silent = True  # no byte of the answer came yet
        self._status = 0  # of the final head, once it is whole
        self._told = False  # the answer was told of it
        self._fields: list[tuple[bytes, bytes]] = []  # of the head, as they came
        self._headers = NO_HEADERS  # of the final head, until it is told
        self._head_size = 0
        self._quiet = 0  # bytes since the last one of the body
        self._keep = False  # the answer's head allows another request
        self._to_eof = False  # the body ends where the connection does

    # What the pool and the call do with it.

    @property
    def usable(self) -> bool:
        return self._over and not self._transport.is_closing()

    def send(self, head: bytes, body: bytes, answer: Answer) -> None:
        """Send one request; all that comes back goes to `answer`."""
        self._clear()
        self._answer = answer
        self._over = False
        if len(body) <= JOINED:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def leave(self, drain: bool) -> None:
        """The answer listens no more. With `drain` the rest of the message may still come, unheard, for a moment."""
        self._answer = None
        if self._over:
            return  # the read that brought the end puts it to rest
        if drain and self._keep:
            self._quiet = 0
            self._drain = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self.abort)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket now, whatever is still unsent; nobody is told."""
        self._answer = None
        self._transport.abort()

    def close(self) -> None:
        """Close the socket now, and tell whoever is listening."""
        answer = self._answer
        self.abort()
        if answer is not None:
            answer.broken(Cause.UPSTREAM_INTERRUPTED, "the connection was closed by our own shutdown", silent=False)

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # uvloop keeps what is written until the end of its turn, unless it is over this bound: a request goes at once
        self._transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        if self._over:  # nobody asked: whatever it is, it must not become the next request's answer
            self.abort()
            return
        self._silent = False
        fault = None
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            fault = _fault(error)
        pieces, answer = self._pieces, self._answer
        if pieces and answer is not None:
            self._quiet = 0
        else:
            self._quiet += len(data)
            if self._quiet > MAX_HEAD and fault is None:
                fault = f"it sent more than {MAX_HEAD} bytes of headers or framing"
        block = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if answer is not None and self._status:
            if not self._told:
                self._told = True
                headers, self._headers = self._headers, NO_HEADERS
                answer.head(self._status, headers)
            answer.heard(block, self._over)
        if self._over:
            self._rest(whole=fault is None)
        elif fault is not None:
            self._spoiled(answer, fault)

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._drain:
            self._drain.cancel()
        self._lost(exc)
        self._home.forget(self)
        del self._parser, self._feed  # it holds our methods: without this, a cycle

    def _spoiled(self, answer: Answer | None, fault: str) -> None:
        """The answer can't be read on; it is told, unless it has left meanwhile."""
        listens = answer is not None and self._answer is answer
        self.abort()
        if answer is not None and listens:
            answer.broken(Cause.UPSTREAM_MALFORMED, fault, silent=False)

    def _rest(self, whole: bool) -> None:
        """The message is over; `whole` unless the read that ended it held more, which is no part of it."""
        self._answer = None
        if self._drain:
            self._drain.cancel()
            self._drain = None
        if whole and self._keep and not self._transport.is_closing() and not self._transport.get_write_buffer_size():
            self._home.rest(self)
        else:
            self._transport.abort()

    def _lost(self, error: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if self._to_eof and error is None:
            self._over = True
            answer.heard(b"", over=True)
        else:
            how = "reset" if error else "closed"
            answer.broken(Cause.UPSTREAM_INTERRUPTED, f"the connection was {how} before the end", self._silent)

    # What httptools calls. An exception here stops the parse and comes out of `feed_data` as its context.

    def on_message_begin(self) -> None:
        if self._over:
            raise TooLong("more than one answer came")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD:
            raise TooLong(f"its headers are larger than {MAX_HEAD} bytes")
        if not self._status:  # after the final head come trailers, which say nothing to us
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers: dict[str, str] = {}
        for name, value in self._fields:
            low = name.lower()
            if low in FIELDS_OF_AN_ANSWER or status >= 300:
                key, text = low.decode("latin-1"), value.decode("latin-1")
                headers[key] = f"{headers[key]}, {text}" if key in headers else text
        self._fields.clear()
        if status < 200:  # an interim answer (RFC 9110 15.2): the final one follows
            return
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise NotChunked("it has a transfer coding other than chunked")
        self._status = status
        self._keep = self._parser.should_keep_alive()
        self._to_eof = coding is None and "content-length" not in headers
        self._headers = headers

    def on_message_complete(self) -> None:
        self._over = self._status > 0


def _fault(error: Exception) -> str:
    """What is wrong with the answer that the parser refused."""
    if isinstance(error, httptools.HttpParserUpgrade):
        return "it changed the protocol"
    ours = error.__context__
    return str(ours if isinstance(ours, (TooLong, NotChunked)) else error)
