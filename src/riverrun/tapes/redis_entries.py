"""A tape's records as the entries of a Redis stream, numbered `{epoch}-{sequence}`.

Entry `{epoch}-0` is the fence with which an owner begins. An entry may hold several records: what was appended while
the one before was on its way goes out together, and is there wholly or not at all.
"""

from __future__ import annotations

from typing import NamedTuple

from riverrun.tapes.records import Record, record
from riverrun.tapes.redis_reply import Reply


class Id(NamedTuple):
    """Where in a stream."""

    epoch: int
    sequence: int

    def __bytes__(self) -> bytes:
        return b"%d-%d" % self


class Entry(NamedTuple):
    """What a stream has under one id: kinds and bodies in turn."""

    id: Id
    fields: list[bytes]

    def records(self) -> list[Record]:
        """Raises Damaged, or NewerFormat."""
        return [record(kind, data) for kind, data in zip(self.fields[::2], self.fields[1::2], strict=True)]


def id_of(text: bytes) -> Id:
    epoch, _, sequence = text.partition(b"-")
    return Id(int(epoch), int(sequence))


def entries(reply: Reply) -> list[Entry]:
    """What XRANGE answered, or XREAD for one stream."""
    if not isinstance(reply, list):
        return []
    return [
        Entry(id_of(item[0]), [field for field in item[1] if isinstance(field, bytes)])
        for item in reply
        if isinstance(item, list) and isinstance(item[0], bytes) and isinstance(item[1], list)
    ]


def streams(reply: Reply) -> list[tuple[bytes, list[Entry]]]:
    """What XREAD answered: the name of each stream that has something new, and that."""
    if not isinstance(reply, list):
        return []
    return [(item[0], entries(item[1])) for item in reply if isinstance(item, list) and isinstance(item[0], bytes)]
