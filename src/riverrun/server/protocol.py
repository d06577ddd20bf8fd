"""One client connection: uvicorn's httptools protocol with limits, deadlines, strictness and the direct writer.

Requests that `heads` refuses, that are too large or too slow are answered here, in the official error shape, and the
connection is closed; the application never sees them. Knows no route, no key and no model.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from enum import Enum
from typing import ClassVar, NoReturn

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from riverrun.failures import Cause, Failure
from riverrun.server.census import Census
from riverrun.server.deadlines import Deadline
from riverrun.server.direct import DirectStream
from riverrun.server.heads import body_too_large, broken, check_head, head_too_large, without_upgrade
from riverrun.server.limits import HostLimits
from riverrun.server.refusals import refusal
from riverrun.server.sockets import lose_after
from riverrun.server.stream import EXTENSION

logger = logging.getLogger("riverrun.server")

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Phase(Enum):
    """What the next byte from the client belongs to."""

    IDLE = 0
    HEAD = 1
    BODY = 2


class HostProtocol(HttpToolsProtocol):
    """uvicorn makes one per connection; `protocol_class` makes the subclass with a server's settings.

    A connection answers one request at a time (`answering`, with its `stream`); the newest request that was parsed is
    uvicorn's `cycle`, and those between wait in uvicorn's `pipeline`.
    """

    limits: ClassVar[HostLimits]
    census: ClassVar[Census]
    rng: ClassVar[random.Random]

    # The connection's life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=self.limits.buffer)
        lose_after(transport.get_extra_info("socket"), self.limits.blocked)
        self.timeout_keep_alive = self.limits.keep_alive  # type: ignore[assignment]  # the loop takes floats too
        self.answering: RequestResponseCycle | None = None
        self.stream: DirectStream | None = None
        self.phase = Phase.HEAD
        self.begun = False  # the parser has seen the first byte of the request
        self.since: float | None = self.loop.time()  # when the deadlines of the request began
        self.head_size = 0  # bytes of the head as parsed
        self.head_raw = 0  # bytes of the head as read, whatever the parser still holds back
        self.body_size = 0
        self.deaf = False  # what the client still sends is thrown away
        self.fault: Failure | None = None  # why a parser callback stopped the parser
        self.last_words: bytes | None = None  # a refusal that waits for the answers before it
        self.due = Deadline(self.loop, self._too_late)
        self.stuck = Deadline(self.loop, self._still_stuck)
        self.unsent = 0
        address = self.client[0] if self.client else None
        refused = self.census.enter(address)
        self.counted = refused is None
        if refused is None:
            self._watch()
        else:
            self._refuse(refused)

    def connection_lost(self, exc: Exception | None) -> None:
        self.due.clear()
        self.stuck.clear()
        self._unset_keepalive_if_required()
        if self.counted:
            self.census.leave(self.client[0] if self.client else None)
        super().connection_lost(exc)
        if self.answering is not None and not self.answering.response_complete:
            self.answering.disconnected = True
            self.answering.message_event.set()
        if self.stream is not None:
            self.stream.lost()
        self.pipeline.clear()

    def shutdown(self) -> None:
        """The server ends: what is still being answered is cut, and cannot look finished."""
        if self.answering is not None and not self.answering.response_complete:
            self._abort()
        else:
            self.transport.close()

    # From the client

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            return
        self._unset_keepalive_if_required()
        if self.phase is Phase.IDLE:
            self.phase, self.since, self.head_raw = Phase.HEAD, self.loop.time(), 0
        if self.phase is Phase.HEAD and not self.begun:
            data = without_upgrade(data)
        in_head = self.phase is Phase.HEAD
        try:
            self.parser.feed_data(data)
            if in_head and self.phase is Phase.HEAD:
                self._grow_raw(len(data))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(self.fault or broken(f"This is not a valid HTTP/1.1 request: {error}."))
        except Failure as failure:
            self._refuse(failure)
        else:
            self._watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if len(self.pipeline) >= self.limits.pipelined:
            self._stop(broken(f"More than {self.limits.pipelined} requests wait on this connection."))
        self.phase, self.begun = Phase.HEAD, True
        self.since = self.since or self.loop.time()
        self.head_size = self.head_raw = self.body_size = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._grow(len(name) + len(value) + 4)
        if self.phase is Phase.BODY:
            return  # a trailer: nothing of ours reads it, and it must not pass for a header
        super().on_header(name, value)
        if len(self.headers) > self.limits.headers:
            self._stop(head_too_large(f"The request has more than {self.limits.headers} headers"))

    def on_headers_complete(self) -> None:
        try:
            check_head(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers, self.limits)
        except Failure as failure:
            self._stop(failure)
        if self.parser.should_upgrade():
            self._stop(broken("Only HTTP/1.1 is spoken here. Send the request without its Upgrade header."))
        super().on_headers_complete()
        self.phase = Phase.BODY
        self.flow.resume_reading()  # uvicorn stops at a second request, and would not see the client leave meanwhile

    def on_body(self, body: bytes) -> None:
        self.body_size += len(body)
        if self.body_size > self.limits.body:
            self._stop(body_too_large(self.limits.body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.phase, self.begun, self.since = Phase.IDLE, False, None

    def _grow(self, size: int) -> None:
        self.head_size += size
        if self.head_size > self.limits.head:
            self._stop(head_too_large(f"The request's head is larger than {self.limits.head} bytes"))

    def _grow_raw(self, size: int) -> None:
        self.head_raw += size
        if self.head_raw > self.limits.head:
            raise head_too_large(f"The request's head is larger than {self.limits.head} bytes")

    def _stop(self, failure: Failure) -> NoReturn:
        """Out of a parser callback: the parser stops, and `data_received` finds why."""
        self.fault = failure
        raise failure

    # To the client

    @property
    def behind(self) -> bool:
        """Whether more than the allowed bytes wait for the client."""
        return self.flow.write_paused

    def cut(self, *, reset: bool) -> None:
        """Closes after what was written; with `reset` so that the peer sees an error and not an end."""
        if reset:
            self._reset_on_close()
        self.deaf = True
        self.pipeline.clear()
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

    def on_response_complete(self) -> None:
        if self.last_words is None or self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            if self.transport.is_closing():
                self._watch_sending()
        else:
            self._say(self.last_words)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stuck.clear()
        if self.stream is not None:
            self.stream.resumed()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.answering = cycle
        self.stream = DirectStream(self, cycle)
        cycle.scope["extensions"] = {EXTENSION: self.stream}  # type: ignore[dict-item]  # ours, and not in uvicorn's list
        task = self.loop.create_task(self._answer(cycle, app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _answer(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Instead of uvicorn's `run_asgi`: what an application left undone is a JSON 500 or a cut."""
        try:
            await app(cycle.scope, cycle.receive, cycle.send)
        except asyncio.CancelledError:
            self._abort()
            raise
        except Exception as error:
            if not cycle.disconnected:
                logger.error("the application raised while it answered", exc_info=error)
        finally:
            if not cycle.response_complete and not cycle.disconnected:
                self._unfinished(cycle)
            cycle.on_response = lambda: None  # breaks the reference circle, as uvicorn does
            cycle.scope.pop("extensions", None)

    def _unfinished(self, cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        if cycle.response_started:
            self.cut(reset=self.stream is not None and self.stream.open_ended)
        else:
            self.pipeline.clear()
            self._say(self._refusal(Failure(Cause.INTERNAL, "The server failed to answer. Please report it.")))

    # Refusing

    def _refusal(self, failure: Failure) -> bytes:
        return refusal(failure, f"req_{self.rng.getrandbits(128):032x}", self.server_state.default_headers)

    def _refuse(self, failure: Failure) -> None:
        """Answers the request that is being received with an error, in its turn, and takes no more from the client."""
        self.deaf = True
        self.due.clear()
        if self.phase is Phase.BODY and not self._withdraw(self.cycle):
            return
        words = self._refusal(failure)
        if self._busy():
            self.last_words = words
        else:
            self._say(words)

    def _withdraw(self, cycle: RequestResponseCycle) -> bool:
        """Takes a request whose body fails back from the application. False: too late, its answer was begun."""
        if cycle.response_started:
            self.cut(reset=False)
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        if cycle is self.answering and self.stream is not None:
            self.stream.lost()
        elif self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        return True

    def _busy(self) -> bool:
        """Whether an answer is under way that the client still wants."""
        cycle = self.answering
        return cycle is not None and not (cycle.response_complete or cycle.disconnected)

    def _say(self, words: bytes) -> None:
        """The connection's last answer. We go on reading for a while: closing at once would reset what we wrote."""
        self.deaf = True
        self.due.clear()
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        self.transport.write(words)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(self.limits.linger, self.transport.abort)

    # Deadlines

    def _watch(self) -> None:
        """Sets the deadline of the phase that the request is in."""
        if self.since is None:
            self.due.clear()
        elif self.phase is Phase.HEAD:
            self.due.set(self.since + self.limits.head_time)
        else:
            self.due.set(self.since + self.limits.body_time)

    def _too_late(self) -> None:
        if self._busy() and self.answering is not (self.cycle if self.phase is Phase.BODY else None):
            self.since = self.loop.time()  # an answer before it is still under way: we may be what holds it up
            self._watch()
        elif self.phase is Phase.HEAD and not self.begun:
            self.transport.close()  # nothing was asked, so nothing is answered
        else:
            limit = self.limits.head_time if self.phase is Phase.HEAD else self.limits.body_time
            what = "headers" if self.phase is Phase.HEAD else "body"
            self._refuse(Failure(Cause.TOO_SLOW, f"The request's {what} did not arrive within {limit:g} s."))

    def _watch_sending(self) -> None:
        self.unsent = self.transport.get_write_buffer_size()
        if self.unsent:
            self.stuck.set(self.loop.time() + self.limits.blocked)

    def _still_stuck(self) -> None:
        if self.transport.get_write_buffer_size() < self.unsent:
            self._watch_sending()
        else:
            self._abort()


def protocol_class(limits: HostLimits, rng: random.Random | None = None) -> type[HostProtocol]:
    """The protocol of one server: its limits, one census over all its connections, and where request ids come from."""
    members = {"limits": limits, "census": Census(limits), "rng": rng or random.SystemRandom()}
    return type("RiverrunProtocol", (HostProtocol,), members)
