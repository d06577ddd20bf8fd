"""An answer that goes on with its own beginning, where an API takes no white space at the end of an assistant's turn.

The white space is not sent, and the model, which writes it once more, is not heard twice.
"""

from __future__ import annotations

import msgspec

from riverrun.dialects.contract import Reader
from riverrun.stream.deltas import Delta, Text
from riverrun.wire.sse import Event


def beginning(prefill: str) -> str:
    """What of an answer's beginning is sent."""
    return prefill.rstrip()


def going_on(reader: Reader, prefill: str) -> Reader:
    """The reader of a request that was written with this beginning."""
    rest = prefill[len(beginning(prefill)) :]
    return GoesOn(reader, rest) if rest and beginning(prefill) else reader


class GoesOn:
    """A reader whose answer may begin with `owed`, which was said already."""

    def __init__(self, reader: Reader, owed: str) -> None:
        self.done = False
        self._reader = reader
        self._owed = owed

    def read(self, event: Event) -> list[Delta]:
        return self._passed(self._reader.read(event))

    def whole(self, body: bytes) -> list[Delta]:
        return self._passed(self._reader.whole(body))

    def finish(self) -> list[Delta]:
        return self._passed(self._reader.finish())

    def _passed(self, deltas: list[Delta]) -> list[Delta]:
        self.done = self._reader.done
        if not self._owed:
            return deltas
        return [kept for delta in deltas if (kept := self._new(delta)) is not None]

    def _new(self, delta: Delta) -> Delta | None:
        if not isinstance(delta, Text) or not self._owed:
            return delta
        words = msgspec.json.decode(delta.literal, type=str)
        if self._owed.startswith(words):
            self._owed = self._owed[len(words) :]
            return None
        new = words.removeprefix(self._owed)
        self._owed = ""
        return Text(delta.choice, msgspec.json.encode(new))
