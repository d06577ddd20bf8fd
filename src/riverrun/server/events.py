"""A tape's followers on the server's side: the event stream to a client, and somebody who waits for the whole."""

from __future__ import annotations

import asyncio

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

    def __init__(self, tape: Tape, stream: Stream, *, after: int = 0, heartbeat: float) -> None:
        self._stream = stream
        self._id = tape.head.id
        self._heartbeat = heartbeat
        self._loop = asyncio.get_running_loop()
        self._wrote = 0.0
        self._behind = False
        self._timer: asyncio.TimerHandle | None = None
        self._following: Following = tape.follow(after, self)
        stream.on_resume = self._resumed
        stream.on_gone = self._following.leave
        if stream.gone:  # before anybody listened
            self._following.leave()

    def open(self, headers: list[tuple[bytes, bytes]], *, held: bool) -> None:
        """Answer 200. `held`: there is no content yet, and the first heartbeat goes out with the headers."""
        if self._stream.gone:
            return
        self._stream.start(200, [*HEADERS, *headers])
        self._wrote = self._loop.time()
        if held:
            self._stream.write(HEARTBEAT)
        self._timer = self._loop.call_later(self._heartbeat, self._beat)
        self._following.more()

    async def closed(self) -> None:
        """Returns when the answer has been written to its end, or the client has gone."""
        await self._stream.done()

    def leave(self) -> None:
        """This client is served, one way or another."""
        self._following.leave()
        if self._timer is not None:
            self._timer.cancel()

    # The tape's side

    def frames(self, block: bytes, last: int) -> bool:
        self._wrote = self._loop.time()
        self._behind = not self._stream.write(block)
        return not self._behind

    def ended(self, ending: Ending) -> None:
        if isinstance(ending, Finished):
            self._stream.finish()
        else:
            self._stream.abort()

    def broke(self, failure: Failure) -> None:
        """The rest can't be had here: said in an event without a number, for it is not on the tape."""
        self._stream.write(b"data: %b\n\n" % error_body(failure, request_id=self._id, stream_id=self._id))
        self._stream.abort()

    def _resumed(self) -> None:
        self._behind = False
        self._following.more()

    def _beat(self) -> None:
        silence = self._loop.time() - self._wrote
        if silence >= self._heartbeat:
            if not self._behind:  # else it has enough to read, and perhaps the last words are among it
                self._stream.write(HEARTBEAT)
            self._wrote = self._loop.time()
            silence = 0.0
        self._timer = self._loop.call_later(self._heartbeat - silence, self._beat)


class Waiter:
    """Counts as a reader of a tape while its client waits for the whole answer."""

    def __init__(self, tape: Tape, stream: Stream) -> None:
        self._stream = stream
        self._following = tape.follow(0, self)
        stream.on_gone = self._following.leave
        if stream.gone:
            self._following.leave()

    def frames(self, block: bytes, last: int) -> bool:
        return True

    def ended(self, ending: Ending) -> None:
        pass

    def broke(self, failure: Failure) -> None:
        pass

    def leave(self) -> None:
        """It has what it waited for, or need not wait: the answer goes out as a whole."""
        self._following.leave()
