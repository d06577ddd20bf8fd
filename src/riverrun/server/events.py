"""A tape's followers on the server's side: the event stream to a client, and somebody who waits for the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from riverrun.failures import Failure
from riverrun.server.stream import Stream
from riverrun.stream.flow import Ending, Finished
from riverrun.tapes.contract import Following, Tape
from riverrun.wire.errors import error_body
from riverrun.wire.sse import HEARTBEAT

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back (F17)
]


class EventStream:
    """Writes a tape to one client. A reader from the start; it writes once `open` has sent the headers.

    A finished tape ends the body cleanly; any other ending cuts the connection without the last chunk, so that no
    client takes a broken stream for a whole one (E4, E5).
    """

    __slots__ = ("_behind", "_following", "_heartbeat", "_id", "_now", "_stream", "_timer", "_write", "_wrote")

    def __init__(self, tape: Tape, stream: Stream, *, after: int = 0, heartbeat: float) -> None:
        self._stream = stream
        self._write = stream.write
        self._id = tape.head.id
        self._heartbeat = heartbeat
        self._now = asyncio.get_running_loop().time
        self._wrote = 0.0
        self._behind = False
        self._timer: asyncio.TimerHandle | None = None
        self._following: Following | None = tape.follow(after, self)
        stream.on_resume = self._resumed
        stream.on_gone = self._following.leave
        if stream.gone:  # before anybody listened
            self._following.leave()

    def open(self, headers: list[tuple[bytes, bytes]], *, held: bool) -> None:
        """Answer 200. `held`: there is no content yet, and the first heartbeat goes out with the headers."""
        if self._stream.gone or self._following is None:
            return
        self._stream.start(200, [*HEADERS, *headers])
        self._wrote = self._now()
        if held:
            self._write(HEARTBEAT)
        self._timer = asyncio.get_running_loop().call_later(self._heartbeat, self._beat)
        self._following.more()

    def closed(self) -> Awaitable[None]:
        """Returns when the answer has been written to its end, or the client has gone."""
        return self._stream.done()

    def leave(self) -> None:
        """This client is served, one way or another; nothing that told us of it, or was told, is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stream.on_gone = self._stream.on_resume = None
        following, self._following = self._following, None
        if following is not None:
            following.leave()

    # The tape's side

    def frames(self, block: bytes, last: int) -> bool:
        self._wrote = self._now()
        welcome = self._write(block)
        self._behind = not welcome
        return welcome

    def ended(self, ending: Ending) -> None:
        if isinstance(ending, Finished):
            self._stream.finish()
        else:
            self._stream.abort()

    def broke(self, failure: Failure) -> None:
        """The rest can't be had here: said in an event without a number, for it is not on the tape."""
        self._write(b"data: %b\n\n" % error_body(failure, request_id=self._id, stream_id=self._id))
        self._stream.abort()

    def _resumed(self) -> None:
        self._behind = False
        if self._following is not None:
            self._following.more()

    def _beat(self) -> None:
        silence = self._now() - self._wrote
        if silence >= self._heartbeat:
            if not self._behind:  # else it has enough to read, and perhaps the last words are among it
                self._write(HEARTBEAT)
            self._wrote = self._now()
            silence = 0.0
        self._timer = asyncio.get_running_loop().call_later(self._heartbeat - silence, self._beat)


class Waiter:
    """Counts as a reader of a tape while its client waits for the whole answer.

    `over` is done when the tape has ended or is broken, or the client has gone: what came of it, the tape knows.
    """

    __slots__ = ("_stream", "_tape", "over")

    def __init__(self, tape: Tape, stream: Stream) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tape = tape
        self._stream = stream
        tape.attend(self._wake)
        stream.on_gone = self._gone
        if stream.gone:  # before anybody listened
            self._gone()

    @property
    def gone(self) -> bool:
        """Nobody waits for it any more."""
        return self._stream.gone

    def leave(self) -> None:
        """It has what it waited for, or need not wait: the answer goes out as a whole."""
        self._stream.on_gone = None
        self._tape.absent(self._wake)

    def _gone(self) -> None:
        self.leave()
        self._wake()

    def _wake(self) -> None:
        if not self.over.done():
            self.over.set_result(None)
