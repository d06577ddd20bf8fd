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

FRAME = b"id: %d\ndata: %b\n\n"

BOM = b"\xef\xbb\xbf"

CR, LF, NUL = b"\r\n\0"
"""As numbers: to look for a byte is ten times as fast as for bytes, where CPython first tries a number and fails."""


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
    """Bytes in, events out, however the bytes are split. What is held is the unfinished event as it came."""

    __slots__ = ("_after_cr", "_rest", "_size", "_start", "last_id", "limit")

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.limit = limit
        self.last_id = b""
        self._rest: list[bytes] = []  # pieces of the unfinished event
        self._size = 0  # bytes in them
        self._start = True  # nothing was read yet: a BOM may still come
        self._after_cr = False  # the last line ended in CR: a LF right after it belongs to it

    def feed(self, block: bytes) -> list[Event]:
        """The events that this block completes. Raises EventTooLong."""
        if self._start:
            if not block or block[0] == BOM[0] or self._rest:
                block = self._skip_bom(block)
            else:
                self._start = False
        if self._after_cr or CR in block:
            block = self._with_line_feeds(block)
        if self._rest or not block.endswith(b"\n\n"):
            block = self._completed(block)
        return self._events(block) if block else []

    @property
    def partial(self) -> bool:
        """Whether data of an event has come that no blank line has ended: at the end of a stream, it was cut."""
        *lines, last = b"".join(self._rest).split(b"\n")
        return bool(last) or any(line.partition(b":")[0] == b"data" for line in lines)

    def _skip_bom(self, block: bytes) -> bytes:
        head = b"".join(self._rest) + block
        if len(head) < len(BOM) and BOM.startswith(head):
            self._rest = [head] if head else []
            return b""
        self._start = False
        self._rest.clear()
        return head.removeprefix(BOM)

    def _with_line_feeds(self, block: bytes) -> bytes:
        if self._after_cr and block:
            self._after_cr = False
            block = block.removeprefix(b"\n")
        if CR in block:
            self._after_cr = block.endswith(b"\r")
            # Where an event of one data line follows another, as nearly everywhere, both line ends are found at once:
            # a search is the faster, the longer what it looks for. What has other ends than these is short then.
            block = b"\n\ndata: ".join(block.split(b"\r\n\r\ndata: "))
            first = block.find(b"\r")
            if first >= 0:
                block = block[:first] + block[first:].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return block

    def _completed(self, block: bytes) -> bytes:
        """Whole events, with what was held of the first; what follows the last blank line is held."""
        rest = self._rest
        end = block.rfind(b"\n\n") + 2
        if end < 2:  # but the blank line may be split too: its first half ended the last block
            end = 1 if block.startswith(b"\n") and rest and rest[-1].endswith(b"\n") else 0
        whole = b""
        if end:
            whole = b"".join((*rest, block[:end]))
            rest.clear()
            self._size = 0
        if end < len(block):
            rest.append(block[end:])
            self._size += len(block) - end
            if self._size > self.limit:
                raise EventTooLong(f"an event is larger than {self.limit} bytes")
        return whole

    def _events(self, block: bytes) -> list[Event]:
        """The events of a block that ends with a blank line.

        Nearly every block of nearly every stream is made of data lines alone, or of pairs of lines that name an event
        and hold its data; these are cut at once, without a look at every line.
        """
        if block.startswith(b"data: "):
            parts = block[6:-2].split(b"\n\ndata: ")
            if LF not in b"".join(parts):
                return list(map(Event, parts))
        elif block.startswith(b"event: "):
            pairs = _pairs(block, b"event: ")
            if pairs is not None:
                return [Event(data, name) for name, data in pairs]
        return self._by_line(block)

    def _by_line(self, block: bytes) -> list[Event]:
        events: list[Event] = []
        data: list[bytes] = []
        name = id = b""
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":  # also alone on a line: an empty data line
                data.append(value)
            elif field == b"event":
                name = value
            elif field == b"id" and NUL not in value:
                self.last_id = id = value
            elif not line:
                if data:
                    events.append(self._event(b"\n".join(data), name, id))
                    data = []
                name = id = b""
            # comments (an empty field), `retry` and unknown fields are nothing to us
        return events

    def _event(self, data: bytes, name: bytes, id: bytes) -> Event:
        return Event(data, name)


class Numbering(Decoder):
    """The same for a stream whose events have numbers: each event says its own."""

    __slots__ = ()

    def _events(self, block: bytes) -> list[Event]:
        pairs = _pairs(block, b"id: ") if block.startswith(b"id: ") and NUL not in block else None
        if pairs is None:
            return self._by_line(block)
        self.last_id = pairs[-1][0]
        return [Event(data, b"", id) for id, data in pairs]

    def _event(self, data: bytes, name: bytes, id: bytes) -> Event:
        return Event(data, name, id)


def _pairs(block: bytes, first: bytes) -> list[tuple[bytes, bytes]] | None:
    """The values of each event's two lines, where all are made of a line that begins with `first` and a data line."""
    pairs = []
    for part in block[len(first) : -2].split(b"\n\n" + first):
        value, found, data = part.partition(b"\ndata: ")
        if not found or LF in value or LF in data:
            return None
        pairs.append((value, data))
    return pairs


def frame(number: int, payload: bytes) -> bytes:
    """One event of our own: `payload` is JSON on one line, or [DONE]; `number` counts from 1 and is never reused."""
    return FRAME % (number, payload)


def frames(first: int, payloads: list[bytes]) -> bytes:
    """Several, the first with the number `first`: the same bytes, without a call for each."""
    return b"".join(map(FRAME.__mod__, enumerate(payloads, first)))
