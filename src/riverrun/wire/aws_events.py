"""Amazon's binary event stream (`application/vnd.amazon.eventstream`): frames in, events out. Pure.

A frame is `total length | headers length | CRC of these | headers | payload | CRC of all before`, each number four
bytes, big-endian (https://smithy.io/2.0/aws/amazon-eventstream.html). Both checksums are checked, so that a damaged
frame is never read as an answer. What an event means is the dialect's.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import msgspec

from riverrun.wire.sse import MAX_EVENT, Event, EventTooLong

PRELUDE = 12
"""Bytes of the two lengths and their checksum."""

OVERHEAD = 16
"""Bytes of a frame that has neither headers nor a payload."""

ERROR = b"error"
"""The name of an event that stands for a frame of type `error`; its data is `{"code": …, "message": …}`."""

FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type: true, false, byte, short, int, long, timestamp, UUID."""

SIZED = frozenset({6, 7})
"""Header types with a length of two bytes before the value: bytes, string."""


class BrokenFrame(Exception):
    """A frame whose checksum or lengths are wrong: nobody knows what it held."""


class Decoder:
    """Bytes in, events out, however the bytes are split.

    An event's name is the frame's `:event-type` or `:exception-type`, or `error`.
    """

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.limit = limit
        self._rest = bytearray()

    def feed(self, block: bytes) -> list[Event]:
        """The events that this block completes. Raises EventTooLong, or BrokenFrame."""
        rest = self._rest
        rest += block
        events: list[Event] = []
        start, size = 0, len(rest)
        while size - start >= PRELUDE:
            total = self._total(bytes(rest[start : start + PRELUDE]))
            if size - start < total:
                break
            events.append(_event(bytes(rest[start : start + total])))
            start += total
        del rest[:start]
        return events

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not ended: at the end of a stream, it was cut."""
        return bool(self._rest)

    def _total(self, prelude: bytes) -> int:
        """The frame's whole length; checked at once, because a damaged length would make us wait for ever."""
        total, headers = _number(prelude[:4]), _number(prelude[4:8])
        if crc32(prelude[:8]) != _number(prelude[8:]):
            raise BrokenFrame("the checksum of a frame's lengths is wrong")
        if total < OVERHEAD + headers:
            raise BrokenFrame("a frame's headers are longer than the frame")
        if total > self.limit:
            raise EventTooLong(f"an event is larger than {self.limit} bytes")
        return total


def _event(frame: bytes) -> Event:
    if crc32(frame[:-4]) != _number(frame[-4:]):
        raise BrokenFrame("the checksum of a frame is wrong")
    end = PRELUDE + _number(frame[4:8])
    kind, name, message = _meaning(frame[PRELUDE:end])
    if kind == ERROR:
        told = {"code": name.decode(errors="replace"), "message": message.decode(errors="replace")}
        return Event(msgspec.json.encode(told), ERROR)
    return Event(frame[end:-4], name)


@lru_cache(maxsize=64)
def _meaning(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """What headers say: the frame's type, its name, and an error's message. The same few come again and again."""
    headers = _headers(raw)
    names = (b":event-type", b":exception-type", b":error-code")
    name = next((headers[each] for each in names if each in headers), b"")
    return headers.get(b":message-type", b""), name, headers.get(b":error-message", b"")


def _headers(raw: bytes) -> dict[bytes, bytes]:
    """Every header's raw value by its name. Raises BrokenFrame."""
    out: dict[bytes, bytes] = {}
    at = 0
    while at < len(raw):
        name_end = at + 1 + raw[at]
        kind = raw[name_end] if name_end < len(raw) else -1
        start = name_end + 1
        if kind in SIZED:
            size, start = _number(raw[start : start + 2]), start + 2
        elif kind in FIXED:
            size = FIXED[kind]
        else:
            raise BrokenFrame("a frame's header has a type that is none")
        if start + size > len(raw):
            raise BrokenFrame("a frame's header is longer than its headers")
        out[raw[at + 1 : name_end]] = raw[start : start + size]
        at = start + size
    return out


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")
