"""Tapes in this process's memory. They survive clients that drop, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

import msgspec

from riverrun.tapes.contract import Adopter, Head, Listener, Taken, Tape
from riverrun.tapes.expiry import Expiry
from riverrun.tapes.order import behind
from riverrun.tapes.own import Own
from riverrun.tapes.retention import Retention, deleted, expired
from riverrun.tapes.room import Room

NOTES = 32 * 1024 * 1024
"""Bytes of all notes; beyond it the oldest go."""

GONE = 10_000
"""Tapes of which it is known that there was one; beyond it the oldest are forgotten. Each takes some 400 bytes."""


NO_REQUEST = msgspec.Raw(b"{}")


class Gone(NamedTuple):
    """A tape that was here: whose, and by which key."""

    tenant: str
    key: str


class MemoryTapes:
    """`largest`: bytes of events that one stream may have."""

    shared = False

    def __init__(self, room: Room, retention: Retention, largest: int | None = None) -> None:
        self._room = room
        self._retention = retention
        self._largest = largest
        self._tapes: dict[str, Own] = {}
        self._ended: dict[str, Own] = {}  # of these; what ended first comes first
        self._keys: dict[str, Taken] = {}
        self._gone: dict[str, Gone] = {}
        self._notes: dict[str, bytes] = {}  # oldest first
        self._noted = 0  # bytes of them
        self._keeping = Expiry(self._expire)  # ids of what has ended
        self._remembering = Expiry(self._let_go)  # ids of what is gone
        self._noting = Expiry(self._forget_note)

    async def create(self, head: Head, listener: Listener) -> Own | Taken:
        taken = self._keys.get(head.key) if head.key else None
        if taken is not None:
            return taken
        if self._room.full:
            self._make_room()
            self._room.admit()
        if head.key:
            self._keys[head.key] = Taken(head.id, head.digest)
        if not head.store:  # nobody reads it again: nobody goes on with a tape of another process here
            head = msgspec.structs.replace(head, request=NO_REQUEST)
        tape = Own(head, self._room.blocks(), None, listener, self._over, self._largest)
        self._tapes[head.id] = tape
        return tape

    async def open(self, tenant: str, id: str) -> Tape | None:
        tape = self._tapes.get(id)
        if tape is not None:
            return tape if tape.head.tenant == tenant else None
        if id in self._gone and self._gone[id].tenant == tenant:
            raise expired(id)
        return None

    async def cancel(self, tape: Tape) -> None:
        own = self._tapes.get(tape.head.id)
        if own is not None and own.ending is None:
            own.listener("cancel")

    async def forget_key(self, head: Head) -> None:
        if head.key and self._keys.get(head.key, Taken("", "")).id == head.id:
            del self._keys[head.key]

    async def delete(self, tenant: str, id: str) -> None:
        tape = self._tapes.get(id)
        if tape is not None and tape.head.tenant == tenant:
            await self.forget_key(tape.head)
            self._remove(tape)
            tape.fail(deleted())
            tape.breaks(deleted())

    async def annotate(self, tape: Tape, metadata: Mapping[str, str]) -> None:
        tape.metadata = dict(metadata)

    async def stored(
        self, tenant: str, *, after: str | None = None, newest_first: bool = False
    ) -> AsyncGenerator[Tape, None]:
        ids = [id for id, tape in self._tapes.items() if tape.head.store and tape.head.tenant == tenant]
        for id in behind(ids, after, newest_first=newest_first):
            tape = self._tapes.get(id)
            if tape is not None:
                yield tape

    async def note(self, name: str, value: bytes, seconds: float) -> None:
        await self.drop_note(name)
        self._notes[name] = value
        self._noted += len(value)
        while self._noted > NOTES:
            await self.drop_note(next(iter(self._notes)))
        self._noting.after(seconds, name)

    async def noted(self, name: str) -> bytes | None:
        return self._notes.get(name)

    async def drop_note(self, name: str) -> bool:
        self._noting.forget(name)
        return self._forget_note(name)

    async def open_for(self, adopter: Adopter) -> None:
        """Nobody's tapes outlive their process here, so there are none to adopt."""

    async def close(self) -> None:
        for expiry in (self._keeping, self._remembering, self._noting):
            expiry.stop()
        for tape in list(self._tapes.values()):
            self._remove(tape)

    def _forget_note(self, name: str) -> bool:
        value = self._notes.pop(name, None)
        self._noted -= len(value or b"")
        return value is not None

    def _over(self, tape: Own) -> None:
        """A tape has ended: it is kept for a while."""
        id = tape.head.id
        if self._tapes.get(id) is tape:
            tape.blocks.settle()
            self._ended[id] = tape
            self._keeping.after(self._retention.of(tape.head), id)

    def _expire(self, id: str) -> None:
        """It is no longer kept; for a while it is known that there was one."""
        head = self._tapes[id].head
        self._remove(self._tapes[id])
        self._gone[id] = Gone(head.tenant, head.key)
        self._remembering.after(self._retention.gone, id)
        if len(self._gone) > GONE:
            self._remembering.hasten()

    def _let_go(self, id: str) -> None:
        key = self._gone.pop(id).key
        if key and key in self._keys and self._keys[key].id == id:
            del self._keys[key]

    def _make_room(self) -> None:
        """The tapes that ended first go first."""
        for tape in list(self._ended.values()):
            if not tape.read:
                self._expire(tape.head.id)
            if not self._room.full:
                return

    def _remove(self, tape: Own) -> None:
        self._tapes.pop(tape.head.id, None)
        self._ended.pop(tape.head.id, None)
        self._keeping.forget(tape.head.id)
        self._room.free(tape.blocks)
