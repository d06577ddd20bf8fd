"""The bytes of an event stream as lines and frames, nothing thrown away.

A decoder for use forgives what clients forgive; this one is for judging, so it keeps what a decoder drops: the
byte order mark, each line's ending, comments, empty blocks, and whether the last frame was closed.
"""

from __future__ import annotations

import re

import msgspec

BOM = b"\xef\xbb\xbf"
ENDING = re.compile(rb"\r\n|\n|\r")


class Frame(msgspec.Struct, frozen=True):
    """The lines up to a blank one. `fields` are (name, value) with comments as name b""; `start`, `end` are offsets."""

    number: int
    start: int
    end: int
    raw: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    closed: bool

    def has(self, name: bytes) -> bool:
        """Whether a field of this name stands in the frame."""
        return any(field == name for field, _ in self.fields)

    def values(self, name: bytes) -> list[bytes]:
        """The values of a field, in order."""
        return [value for field, value in self.fields if field == name]

    @property
    def data(self) -> bytes:
        """The data lines joined by LF, as every decoder hands them out."""
        return b"\n".join(self.values(b"data"))


def endings(body: bytes) -> set[bytes]:
    """Which line endings stand in the body."""
    return set(ENDING.findall(body))


def frames(body: bytes) -> list[Frame]:
    """Every frame of a body without its BOM, the empty ones and an unclosed last one included."""
    found: list[Frame] = []
    start = position = 0
    fields: list[tuple[bytes, bytes]] = []

    def add(end: int, closed: bool) -> None:
        found.append(Frame(len(found), start, end, body[start:end], tuple(fields), closed))
        fields.clear()

    for ending in ENDING.finditer(body):
        line = body[position : ending.start()]
        position = ending.end()
        if line:
            fields.append(field(line))
        else:
            add(position, closed=True)
            start = position
    if position < len(body):
        fields.append(field(body[position:]))
    if fields:
        add(len(body), closed=False)
    return found


def field(line: bytes) -> tuple[bytes, bytes]:
    """A line's name and value; a comment has the name b"" (WHATWG, "interpreting an event stream")."""
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")
