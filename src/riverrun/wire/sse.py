"""Server-sent events, both ways: the one decoder for upstreams, the one encoder for clients.

The decoder follows the WHATWG rules (https://html.spec.whatwg.org/multipage/server-sent-events.html, "event stream
interpretation") with one difference: it hands out bytes, and whoever reads them refuses invalid UTF-8, because
replacing it would change an answer. It also tells an event that the stream's end cut short from a whole one.
"""

from __future__ import annotations

import msgspec

MAX_EVENT = 4 * 1024 * 1024
"""Bytes of one event, from any upstream (SEC18). The largest seen in real streams is under 100 KiB."""

HEARTBEAT = b": hb\n"
"""A comment with ONE newline: a blank line after it would make openai-python parse an empty event and die (F6)."""

BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event. `data` is the data lines joined by LF; `name` is empty unless an `event:` line came.

    `id` is that of an `id:` line of the event's own, where `Numbering` read it; else it is empty.
    """

    data: bytes
    name: bytes = b""
    id: bytes = b""


class EventTooLong(Exception):
    """An event grew over the limit."""


class Decoder:
    """Bytes in, events out, however the bytes are split."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.limit = limit
        self.last_id = b""
        self._rest: list[bytes] = []  # pieces of the unfinished line
        self._size = 0  # bytes held for the unfinished event
        self._start = True  # nothing was read yet: a BOM may still come
        self._after_cr = False  # the last line ended in CR: a LF right after it belongs to it
        self._data: list[bytes] = []
        self._name = b""

    def feed(self, block: bytes) -> list[Event]:
        """The events that this block completes. Raises EventTooLong."""
        if self._start:
            block = self._skip_bom(block)
        if self._after_cr and block:
            self._after_cr = False
            block = block.removeprefix(b"\n")
        if b"\r" in block:
            self._after_cr = block.endswith(b"\r")
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = block.split(b"\n")
        last = lines.pop()
        events: list[Event] = []
        if lines and self._rest:
            self._rest.append(lines[0])
            lines[0] = b"".join(self._rest)
            self._rest.clear()
        for line in lines:
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        if last:
            self._rest.append(last)
        self._size = self._size + len(block) if not events else len(last)
        if self._size > self.limit:
            raise EventTooLong(f"an event is larger than {self.limit} bytes")
        return events

    @property
    def partial(self) -> bool:
        """Whether data of an event has come that no blank line has ended: at the end of a stream, it was cut."""
        return bool(self._data) or any(self._rest)

    def _skip_bom(self, block: bytes) -> bytes:
        head = b"".join(self._rest) + block
        if len(head) < len(BOM) and BOM.startswith(head):
            self._rest = [head] if head else []
            return b""
        self._start = False
        self._rest.clear()
        return head.removeprefix(BOM)

    def _field(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value
        elif name == b"data":  # "data" alone on a line is an empty data line
            self._data.append(b"")
        elif name == b"id" and b"\0" not in value:
            self.last_id = value
        # comments (empty name), `retry` and unknown fields are nothing to us

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(Event(data, self._name))
            self._data.clear()
        self._name = b""


class Numbering(Decoder):
    """The same for a stream whose events have numbers: each event says its own, which costs a little more."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        super().__init__(limit)
        self._id = b""

    def _field(self, line: bytes) -> None:
        if line.startswith(b"id:") and b"\0" not in line:
            self.last_id = self._id = line[4:] if line.startswith(b"id: ") else line[3:]
        else:
            super()._field(line)

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(Event(data, self._name, self._id))
            self._data.clear()
        self._name = self._id = b""


def frame(number: int, payload: bytes) -> bytes:
    """One event of our own: `payload` is JSON on one line, or [DONE]; `number` counts from 1 and is never reused."""
    return b"id: %d\ndata: %b\n\n" % (number, payload)


def frames(first: int, payloads: list[bytes]) -> bytes:
    """Several, the first with the number `first`: the same bytes, without a call for each."""
    return b"".join([b"id: %d\ndata: %b\n\n" % each for each in enumerate(payloads, first)])
