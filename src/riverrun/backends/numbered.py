"""The events of an upstream that is itself a riverrun: numbered, so that after a cut the rest can be asked for.

Pure. Knows which answers can be come back to, which events are new, and what a cut of such a stream is; when and how
somebody comes back is `backends.comeback`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from riverrun.backends.content import Content, Streamed, interrupted, malformed
from riverrun.dialects.contract import Reader
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.deltas import Delta
from riverrun.wire import sse
from riverrun.wire.sse import Event, EventTooLong

PLACE = re.compile(r"/v1/chat/completions/([A-Za-z0-9_-]{1,128})")
"""The only `location` that is understood, and of it only the last part is used (SEC1): the rest is our own base_url."""

LONGEST_NUMBER = 18
"""Digits; no stream has more events."""


class Lost(Exception):
    """This connection has no more of the stream, which may go on: come back. `failure` is what it is otherwise."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def numbered(body: Content, reader: Reader, headers: Mapping[str, str], target: Target) -> Numbered | None:
    """The content that can be come back to, in place of `body`; None where nothing says so."""
    place = PLACE.fullmatch(headers.get("location", ""))
    if place is None or not isinstance(body, Streamed) or body.framing != "sse":
        return None
    return Numbered(reader, target, place[1])


def goes_on(status: int, headers: Mapping[str, str]) -> bool:
    """Whether this is the head of the rest of a stream. Anything else (204, 404, 410, …) means that there is none."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return status == 200 and kind == "text/event-stream" and headers.get("content-encoding", "identity") == "identity"


class Numbered(Streamed):
    """A Content. What has been read stays read: after `again` the reader goes on where it was.

    An event without a number says nothing of the stream on the tape. One that is an error therefore means that this
    connection is at its end, and the stream is not; an error with a number is the upstream's own ending. Where the
    very first event has another number than 1, this is no riverrun, and everything is read as it comes.
    """

    __slots__ = ("_ended", "_sure", "completion", "last", "resumable")

    def __init__(self, reader: Reader, target: Target, completion: str) -> None:
        super().__init__(reader, "sse", target)
        self.completion = completion
        self.last = 0
        """The number of the latest event that was read."""
        self.resumable = True
        self._sure = False  # an event has shown that this is a riverrun
        self._ended = False  # its body came to an end, as if that were all
        self._framer = sse.Numbering()

    def again(self) -> None:
        """What comes next is of another connection, and begins with a whole event."""
        self._framer = sse.Numbering()
        self._sure = True
        self._ended = False

    def feed(self, block: bytes, deltas: list[Delta]) -> None:
        """See Content. Raises Lost too."""
        try:
            events = self._framer.feed(block)
        except EventTooLong as error:
            raise malformed(self._target, str(error)) from None
        for event in events:
            if self.resumable:
                self._read(event, deltas)
            else:
                deltas += self._reader.read(event)
            if self._reader.done:
                self.done = True
                return

    def finish(self, deltas: list[Delta]) -> None:
        """See Content. A stream that can be come back to ends with its reader's own ending, and never with a body."""
        if self.resumable:
            self._ended = True
            raise Lost(interrupted(self._target, "the answer ended before it was complete"))
        super().finish(deltas)

    def given_up(self, deltas: list[Delta]) -> bool:
        """Nobody comes back to it. Whether it was complete, though its ending was missing; adds what was held back."""
        self.resumable = False
        if not self._ended:
            return False
        try:
            self.finish(deltas)
        except Failure:
            return False
        return True

    def _read(self, event: Event, deltas: list[Delta]) -> None:
        if not event.id:
            self._unnumbered(event, deltas)
            return
        known = event.id.isdigit() and len(event.id) <= LONGEST_NUMBER
        number = int(event.id) if known else 0
        if not self._sure:
            self.resumable = self._sure = number == 1
        elif not known or number > self.last + 1:
            raise malformed(self._target, f"after event {self.last} of its stream came another than the next one")
        elif number <= self.last:
            return
        self.last = number
        deltas += self._reader.read(event)

    def _unnumbered(self, event: Event, deltas: list[Delta]) -> None:
        try:
            said = self._reader.read(event)
        except Failure as failure:
            raise Lost(failure) from None
        if self._sure:
            raise malformed(self._target, "an event of its stream has no number")
        self.resumable = False
        deltas += said
