"""A stream's bytes in, whole events out, each number once; and whether the stream is over. Knows no network.

riverrun numbers its events contiguously from 1 (`id: N`), ends a whole answer with `[DONE]` and a failed one with an
`{"error": …}` event. An error without a number is not on the tape: the server asks to come back for the rest.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.wire import sse

LONGEST = 4 * sse.MAX_EVENT
"""Bytes of one event: an upstream's largest, wrapped and escaped."""

LONGEST_NUMBER = 18
"""Digits of an event's number: more than any tape has, and few enough to be read at once."""

End = Literal["", "done", "failed", "come back"]


class Malformed(Exception):
    """What no riverrun sends: a number was left out, an event does not end, or nothing new comes for too long."""


class _Error(msgspec.Struct):
    error: msgspec.Raw


def _is_error(data: bytes) -> bool:
    if b'"error"' not in data:
        return False
    try:
        return bytes(msgspec.json.decode(data, type=_Error).error) != b"null"
    except msgspec.MsgspecError:
        return False


class Events:
    """`last` is the number of the last event that was handed out; `end` says how the stream ended, if it did.

    `parting` is the error that came without a number. It is handed on only if nobody can be found to go on.
    """

    def __init__(self) -> None:
        self.last = 0
        self.end: End = ""
        self.parting = b""
        self.numbered = True  # as long as no event came that can't be asked for again
        self._held = bytearray()

    def feed(self, block: bytes) -> bytes:
        """Everything that is whole now, as it came. Raises Malformed."""
        searched = len(self._held)
        self._held += block
        ready: list[bytes] = []
        if (end := self._held.rfind(b"\n\n", max(searched - 1, 0))) >= 0:
            ready = [self._event(event + b"\n\n") for event in self._take(end + 2)[:-2].split(b"\n\n")]
            searched = 0
        ready.append(self._take(_comments(self._held, searched)))
        self._check_size(self._held)
        return b"".join(ready)

    def cut(self) -> None:
        """The connection is gone, and with it the half of an event; the server will say it again."""
        self._held.clear()
        if self.end == "come back":
            self.end = ""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _check_size(self, event: bytes | bytearray) -> None:
        if len(event) > LONGEST:
            raise Malformed(f"event {self.last + 1} is larger than {LONGEST} bytes")

    def _event(self, text: bytes) -> bytes:
        self._check_size(text)
        if self.end:
            return text if self.end != "come back" else b""
        decoder = sse.Decoder(LONGEST)
        events = decoder.feed(text)
        if not events:
            return text
        data, number = events[0].data, decoder.last_id
        if number:
            return self._numbered(text, data, number)
        if _is_error(data):
            self.end, self.parting = "come back", text
            return b""
        self.numbered = False
        self._look_for_end(data)
        return text

    def _numbered(self, text: bytes, data: bytes, number: bytes) -> bytes:
        known = number.isdigit() and len(number) <= LONGEST_NUMBER
        if not known or int(number) > self.last + 1:
            raise Malformed(f"after event {self.last} came {number[:LONGEST_NUMBER].decode('latin-1')!r}")
        if int(number) <= self.last:
            return b""
        self.last, self.parting = int(number), b""
        self._look_for_end(data)
        return text

    def _look_for_end(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.end = "done"
        elif _is_error(data):
            self.end = "failed"


def _comments(held: bytearray, searched: int) -> int:
    """Bytes of the whole comment lines that `held` begins with (heartbeats, which no blank line follows). A comment at
    its front does not end within the first `searched` bytes."""
    size = 0
    while held.startswith(b":", size) and (end := held.find(b"\n", max(size, searched))) >= 0:
        size = end + 1
    return size
