"""Newline-delimited JSON from an upstream: one event a line, read as `wire.sse` reads its events.

The format is https://github.com/ndjson/ndjson-spec: each text ends with LF (a CR before it is white space of the
JSON). Bytes are handed out, and whoever reads them refuses what is not JSON, or not UTF-8.
"""

from __future__ import annotations

from riverrun.wire.sse import MAX_EVENT, Event, EventTooLong


class Decoder:
    """Bytes in, events out, however the bytes are split."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.limit = limit
        self._rest: list[bytes] = []  # pieces of the unfinished line
        self._size = 0

    def feed(self, block: bytes) -> list[Event]:
        """The events that this block completes; empty lines are none. Raises EventTooLong."""
        lines = block.split(b"\n")
        last = lines.pop()
        if lines:
            lines[0] = b"".join([*self._rest, lines[0]])
            self._rest.clear()
            self._size = 0
        if last:
            self._rest.append(last)
            self._size += len(last)
        if self._size > self.limit or any(len(line) > self.limit for line in lines):
            raise EventTooLong(f"an event is larger than {self.limit} bytes")
        return [Event(line) for line in lines if line.strip()]

    @property
    def partial(self) -> bool:
        """Whether a line has begun that no line feed has ended: at the end of a stream, it was cut."""
        return any(piece.strip() for piece in self._rest)
