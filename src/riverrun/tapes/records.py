"""The records that a tape is made of, as a file, a socket or a stream has them: kind, length, checksum, body.

A record that is cut short or damaged ends a log: nothing after it counts. The first record of a tape tells the version
of the format, so that an older server refuses a newer tape by name.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from zlib import crc32

import msgspec

from riverrun.failures import Told
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, Head
from riverrun.wire.chunk import CompletionUsage

VERSION = 1
PREFIX = struct.Struct(">cII")
NUMBER = struct.Struct(">Q")
LARGEST = 96 * 1024 * 1024
"""No record is larger; a length beyond it is damage. A head holds a request of up to 64 MiB."""


class Begin(msgspec.Struct, frozen=True):
    """The first record, and the first of each later owner, with the next epoch. `owner`: how the owner is reached."""

    head: Head
    epoch: int = 1
    owner: str = ""
    version: int = VERSION


class Block(msgspec.Struct, frozen=True):
    """Events as the clients get them, up to number `last`."""

    block: bytes
    last: int


class Ended(msgspec.Struct, frozen=True):
    """The last record. Without a `failure` it finished, or was `cancelled`. `at` is in Unix seconds."""

    at: float
    usage: CompletionUsage | None = None
    failure: Told | None = None
    cancelled: bool = False

    @property
    def ending(self) -> Ending:
        if self.failure is not None:
            return Refused(self.failure.failure())
        return Cancelled() if self.cancelled else Finished()


Record = Begin | Block | Committed | Ended

KINDS: dict[bytes, type[Begin | Committed | Ended]] = {
    b"H": Begin,
    b"C": Committed,
    b"E": Ended,
}
LETTERS = {kind: letter for letter, kind in KINDS.items()}
_json = msgspec.json.Encoder().encode
BLOCK = b"B"


class Damaged(ValueError):
    """A record that is not what was written."""


class NewerFormat(ValueError):
    """A tape of a later riverrun."""


def body(record: Record) -> tuple[bytes, bytes]:
    """A record's kind and body."""
    if isinstance(record, Block):
        return BLOCK, NUMBER.pack(record.last) + record.block
    return LETTERS[type(record)], _json(record)


def record(kind: bytes, data: bytes) -> Record:
    """The record of this kind. Raises Damaged, or NewerFormat."""
    if kind == BLOCK:
        return Block(data[NUMBER.size :], NUMBER.unpack_from(data)[0])
    try:
        read = msgspec.json.decode(data, type=KINDS[kind])
    except (KeyError, msgspec.MsgspecError):
        if kind == b"H":
            _judge_version(data)
        raise Damaged(f"a record of kind {kind!r} can't be read") from None
    if isinstance(read, Begin) and read.version > VERSION:
        _judge_version(data)
    return read


def encoded(record: Record) -> bytes:
    """As it is written to a file or a socket."""
    kind, data = body(record)
    return PREFIX.pack(kind, len(data), crc32(data)) + data


def encoded_block(block: bytes, last: int) -> list[bytes]:
    """The same for a block, in pieces, without a copy of it."""
    number = NUMBER.pack(last)
    return [PREFIX.pack(BLOCK, len(block) + NUMBER.size, crc32(block, crc32(number))) + number, block]


class Reading:
    """Records out of bytes that come in any pieces. `good` counts the bytes of the records that were given out."""

    def __init__(self) -> None:
        self.good = 0
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Record]:
        """The records that are whole now. Raises Damaged, or NewerFormat."""
        self._held += data
        start = 0
        try:
            while len(self._held) - start >= PREFIX.size:
                kind, size, check = PREFIX.unpack_from(self._held, start)
                if size > LARGEST:
                    raise Damaged("a record has no possible length")
                end = start + PREFIX.size + size
                if len(self._held) < end:
                    break
                data = bytes(self._held[start + PREFIX.size : end])
                if crc32(data) != check:
                    raise Damaged("a record's checksum is wrong")
                read = record(kind, data)
                self.good += end - start
                start = end
                yield read
        finally:
            del self._held[:start]


def told(ending: Ending, usage: CompletionUsage | None, at: float) -> Ended:
    """An ending as a record."""
    if isinstance(ending, Refused):
        return Ended(at, usage, Told.of(ending.failure))
    return Ended(at, usage, None, isinstance(ending, Cancelled))


def _judge_version(data: bytes) -> None:
    """Raises NewerFormat where a later riverrun wrote this."""
    try:
        version = msgspec.json.decode(data, type=_Version).version
    except msgspec.MsgspecError:
        return
    if version > VERSION:
        raise NewerFormat(f"its format is {version}, and this riverrun knows up to {VERSION}; run a newer one")


class _Version(msgspec.Struct):
    version: int
