"""One client connection: requests in, answers out one at a time, with deadlines, caps and refusals around them.

Requests that `heads` refuses, that are too large or too slow are answered here, in the official error shape, and the
connection is closed; the application never sees them. Knows no route, no key and no model.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from typing import cast
from urllib.parse import unquote

from riverrun.failures import Cause, Failure
from riverrun.server.body import Incoming
from riverrun.server.deadlines import Deadline
from riverrun.server.direct import DirectStream
from riverrun.server.exchange import Exchange
from riverrun.server.heads import METHODS, Head, broken
from riverrun.server.reading import HEAD, IDLE, Reading
from riverrun.server.refusals import refusal
from riverrun.server.serving import Serving
from riverrun.server.sockets import lose_after

logger = logging.getLogger("riverrun.server")

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """The loop makes one per connection. `stream` is the answer under way; requests behind it wait, in order."""

    __slots__ = (
        "_address",
        "_counted",
        "_cut_shows",
        "_deaf",
        "_due",
        "_last_words",
        "_loop",
        "_paused",
        "_reading",
        "_stuck",
        "_unsent",
        "_waiting",
        "behind",
        "expected",
        "serving",
        "stream",
        "transport",
    )

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Exchange, DirectStream]] | None = None  # most connections never have one
        self._deaf = False  # what the client still sends is thrown away
        self._last_words: bytes | None = None  # a refusal that waits for the answers before it
        self._paused = False
        # False: the last answer, of which something may be unsent, ends where the connection does
        self._cut_shows = True
        self._unsent = 0
        self._due = Deadline(self._loop, self._too_late)
        self._stuck: Deadline | None = None
        self.stream: DirectStream | None = None
        self.expected = False  # the request that is being answered said 100-continue, and was not told to go on
        self.behind = False

    # The connection's life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # as the loops' are, though uvloop's does not say so
        self.transport = transport
        serving = self.serving
        serving.connections.add(self)
        transport.set_write_buffer_limits(high=serving.limits.buffer)
        lose_after(transport.get_extra_info("socket"), serving.limits.blocked)
        self._address = _address(transport)
        self._reading = Reading(serving.limits, self._loop, self._asked)
        refused = serving.census.enter(self._address)
        self._counted = refused is None
        if refused is None:
            self._watch()
        else:
            self._refuse(refused)

    def connection_lost(self, exc: Exception | None) -> None:
        self.serving.connections.discard(self)
        self._due.close()
        if self._stuck is not None:
            self._stuck.close()
        if self._counted:
            self.serving.census.leave(self._address)
        self._waiting = None
        self._reading.close()
        if self.stream is not None:
            self.stream.lost()
            self.stream = None

    def shutdown(self) -> None:
        """The server ends: what is still being answered is cut, and cannot look finished."""
        if self.stream is not None and not self.stream.complete:
            self._abort()
        elif self.unwritten and not self._cut_shows:
            self._reset_on_close()
            self.transport.abort()
        else:
            self.transport.close()

    @property
    def unwritten(self) -> int:
        """See serving.Ends."""
        return self.transport.get_write_buffer_size()

    # From the client

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            self._reading.feed(data)
        except Failure as failure:
            self._refuse(failure)
        else:
            self._watch()

    def _asked(self, head: Head) -> Incoming:
        """A request whose head is complete. Its answer begins, or waits for those before it."""
        limit = self.serving.limits.pipelined
        if self._waiting is not None and len(self._waiting) >= limit:
            raise broken(f"More than {limit} requests wait on this connection.")
        path, _, query = head.target.partition(b"?")
        old = head.version == "1.0"
        stream = DirectStream(self, silent=head.method == b"HEAD", old=old, keep_alive=head.keep_alive and not old)
        body = Incoming(self)
        where = path.decode("ascii")
        if path.find(b"%") >= 0:
            where = unquote(where)
        exchange = Exchange(METHODS[head.method], where, query, head.headers, self._address or "local", body, stream)
        if self.stream is None and not self.behind:
            self._begin(exchange, stream)
        else:
            self._waiting = self._waiting or deque()
            self._waiting.append((exchange, stream))
        return body

    def wants_body(self) -> None:
        """Somebody waits for the body of the request that is being answered."""
        self.resume_reading()
        if self.expected:
            self.expected = False
            self.transport.write(CONTINUE)

    def pause_reading(self) -> None:
        """More of a body has come than anybody wants yet."""
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """See body.Source."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # To the client

    def awaited(self) -> bool:
        """See direct.Connection."""
        return self._reading.body is not None and not self._waiting

    def _begin(self, exchange: Exchange, stream: DirectStream) -> None:
        self.stream = stream
        expect = exchange.headers.get("expect")
        self.expected = expect is not None and expect.lower() == "100-continue" and not stream.old
        self.serving.tasks[stream] = self._loop.create_task(self._answer(exchange, stream))

    async def _answer(self, exchange: Exchange, stream: DirectStream) -> None:
        """What the application left undone is a JSON 500 or a cut."""
        try:
            await self.serving.answer(exchange)
        except asyncio.CancelledError:
            self._abort()
            raise
        except Exception as error:
            if not stream.gone:
                logger.error("the application raised while it answered", exc_info=error)
        finally:
            if not (stream.complete or stream.gone):
                self._unfinished(stream)
            del self.serving.tasks[stream]  # a callback of the task costs more

    def _unfinished(self, stream: DirectStream) -> None:
        if stream.started:
            stream.abort()
        else:
            stream.gone = True
            self._waiting = None
            self._say(self._refusal(Failure(Cause.INTERNAL, "The server failed to answer. Please report it.")))

    def settle(self) -> None:
        """See direct.Connection."""
        self._reading.rest()

    def answered(self) -> None:
        """The answer is complete: the next one begins, or the connection idles."""
        if self.transport.is_closing():
            self._watch_sending()
            return
        self.expected = False
        self.stream = None
        if self._waiting:
            self._begin_next()
        elif self._last_words is not None:
            self._say(self._last_words)
        elif self._reading.body is not None:
            self._reading.body.drop()
        elif self._reading.phase is IDLE:
            self._due.set(self._loop.time() + self.serving.limits.keep_alive)
        if self._paused:
            self.resume_reading()

    def _begin_next(self) -> None:
        """Unless the client has not taken what it asked for before: then it waits for that."""
        if self._waiting and not self.behind:
            self._begin(*self._waiting.popleft())

    def pause_writing(self) -> None:
        self.behind = True
        self._watch_sending()

    def resume_writing(self) -> None:
        self.behind = False
        if self._stuck is not None:
            self._stuck.clear()
        if self.stream is not None:
            self.stream.resumed()
        else:
            self._begin_next()

    def close(self) -> None:
        """See direct.Connection. To close while the client still sends would reset what we wrote."""
        self._cut_shows = self.stream is None or not self.stream.open_ended
        if self._reading.body is None:
            self.transport.close()
        else:
            self._waiting = self._last_words = None
            self._linger()

    def cut(self, *, reset: bool) -> None:
        """Closes after what was written; with `reset` so that the peer sees an error and not an end."""
        if reset:
            self._reset_on_close()
        self._deaf = True
        self._waiting = None
        self.transport.close()
        self._watch_sending()

    def _reset_on_close(self) -> None:
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _abort(self) -> None:
        """Closes without what was written. A body that ends with its connection must not look whole."""
        if self.stream is not None and self.stream.open_ended:
            self._reset_on_close()
        self.transport.abort()

    # Refusing

    def _refusal(self, failure: Failure) -> bytes:
        return refusal(failure, f"req_{self.serving.rng.getrandbits(128):032x}", self.serving.defaults)

    def _refuse(self, failure: Failure) -> None:
        """Answers the request that is being received with an error, in its turn, and takes no more from the client."""
        self._deaf = True
        self._due.clear()
        if self._reading.body is not None and not self._withdraw(self._reading.body):
            return
        words = self._refusal(failure)
        if self._busy():
            self._last_words = words
        else:
            self._say(words)

    def _withdraw(self, body: Incoming) -> bool:
        """Takes a request whose body fails back from the application. False: too late, its answer was begun."""
        if self._waiting:
            self._waiting.pop()
        elif self.stream is None or self.stream.started:
            self.cut(reset=self.stream is not None and self.stream.open_ended)
            return False
        else:
            body.lose()
            self.stream.lost()
        return True

    def _busy(self) -> bool:
        """Whether an answer is under way, or waits, that the client still wants."""
        if self.stream is None:
            return bool(self._waiting)
        return not (self.stream.complete or self.stream.gone)

    def _say(self, words: bytes) -> None:
        """The connection's last answer. We go on reading for a while: closing at once would reset what we wrote."""
        self._deaf = True
        self._due.clear()
        if self.transport.is_closing():
            return
        self.transport.write(words)
        self._linger()

    def _linger(self) -> None:
        self._deaf = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()
        self._loop.call_later(self.serving.limits.linger, self.transport.abort)

    # Deadlines

    def _watch(self) -> None:
        """Sets the deadline of the phase that the request is in, or that of the next one."""
        reading = self._reading
        if reading.since is None:
            if self.stream is None and not self._waiting:  # it was answered before its body was whole
                self._due.set(self._loop.time() + self.serving.limits.keep_alive)
            else:
                self._due.clear()
        elif reading.phase is HEAD:
            self._due.set(reading.since + self.serving.limits.head_time)
        else:
            self._due.set(reading.since + self.serving.limits.body_time)

    def _too_late(self) -> None:
        reading = self._reading
        if reading.phase is IDLE or not (self._busy() or reading.begun):
            self.transport.close()  # nothing was asked, so nothing is answered
        elif self._busy() and (reading.phase is HEAD or self._waiting):
            reading.since = self._loop.time()  # an answer before it is still under way: we may be what holds it up
            self._watch()
        else:
            limits = self.serving.limits
            what, limit = ("headers", limits.head_time) if reading.phase is HEAD else ("body", limits.body_time)
            self._refuse(Failure(Cause.TOO_SLOW, f"The request's {what} did not arrive within {limit:g} s."))

    def _watch_sending(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        if self._unsent:
            self._stuck = self._stuck or Deadline(self._loop, self._still_stuck)
            self._stuck.set(self._loop.time() + self.serving.limits.blocked)

    def _still_stuck(self) -> None:
        if self.transport.get_write_buffer_size() < self._unsent:
            self._watch_sending()
        else:
            self._abort()


def _address(transport: asyncio.Transport) -> str | None:
    """The client's; None where there is none, as on a Unix socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else None
