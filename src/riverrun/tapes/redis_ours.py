"""The tapes that this process owns: how they begin, are restored, end, and what is left of them in memory.

What Redis says that we own and what we know to own can differ after an outage; `reconcile` makes them one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from riverrun.failures import Failure
from riverrun.tapes.contract import Committed, Head, Listener, Signal, Taken
from riverrun.tapes.expiry import Expiry
from riverrun.tapes.own import Own
from riverrun.tapes.records import Begin, Block, body
from riverrun.tapes.redis_entries import Entry, Id
from riverrun.tapes.redis_journal import Journal
from riverrun.tapes.redis_link import Link, Timing
from riverrun.tapes.redis_names import ORPHANS, Names, mark
from riverrun.tapes.redis_owners import Claimed
from riverrun.tapes.redis_reply import Command, command, texts
from riverrun.tapes.redis_scripts import CREATE, DELETE, END
from riverrun.tapes.redis_writer import Writer
from riverrun.tapes.retention import Retention, handed_over
from riverrun.tapes.room import Room


class Ours:
    """`over` is told the id of a tape to which nothing more is written. The rest as in RedisTapes."""

    def __init__(
        self,
        link: Link,
        names: Names,
        me: str,
        writer: Writer,
        room: Room,
        retention: Retention,
        timing: Timing,
        largest: int | None,
        now: Callable[[], float],
        over: Callable[[str], None],
    ) -> None:
        self._link = link
        self._names = names
        self._me = me
        self._writer = writer
        self._room = room
        self._retention = retention
        self._timing = timing
        self._largest = largest
        self._now = now
        self._told_over = over
        self._tapes: dict[str, Own] = {}
        self._making: set[str] = set()
        self._ghosts: dict[str, Head] = {}  # Redis was asked to make them, and never answered
        self._lingering = Expiry(self._let_go)

    def get(self, id: str) -> Own | None:
        """A tape of ours that is live, or has ended a moment ago."""
        return self._tapes.get(id)

    async def begin(self, head: Head, listener: Listener) -> Own | Taken:
        """A new tape, or the one that has its key. Raises Away; or Failure when there is no room."""
        if self._room.full:
            self._make_room()
        self._room.admit()
        self._making.add(head.id)
        self._ghosts[head.id] = head
        try:
            taken = await self._create(head)
            if taken is not None and taken.id in self._ghosts:
                await self._exorcise(taken.id)
                taken = await self._create(head)
            del self._ghosts[head.id]
        finally:
            self._making.discard(head.id)
        if taken is not None:
            return taken
        return self._made(head, Id(1, 0), listener)

    def restore(self, claimed: Claimed) -> Own:
        """A tape that was somebody else's. Its listener is to be set."""
        tape = self._made(claimed.head, claimed.fence, _nobody)
        last = 0
        for record in claimed.records:
            if isinstance(record, Block) and record.last > last:
                tape.blocks.add(record.block, last := record.last)
            elif isinstance(record, Committed):
                tape.began(record)
        tape.restored(last, claimed.fence.epoch)
        return tape

    def drop(self, id: str, failure: Failure) -> None:
        """A tape that is no more, ended or not: its readers are told."""
        tape = self._tapes.pop(id, None)
        if tape is not None:
            tape.fail(failure)
            tape.breaks(failure)
            self._room.free(tape.blocks)

    def leave(self) -> None:
        """All live tapes are left to other owners."""
        for id, tape in list(self._tapes.items()):
            if tape.ending is None:
                self.drop(id, handed_over())
            self._room.free(tape.blocks)
        self._tapes.clear()
        self._lingering.stop()

    async def reconcile(self) -> None:
        """Gives up what Redis says that we own and we know not to own. Raises Away."""
        owned = {id.decode() for id in texts(await self._link.ask("SMEMBERS", self._names.owned(self._me)))}
        for id in owned - self._tapes.keys() - self._making:
            if id in self._ghosts:
                await self._exorcise(id)
            else:
                await self._link.ask("SMOVE", self._names.owned(self._me), self._names.owned(ORPHANS), id)

    async def refresh(self) -> None:
        """Puts off the day on which our live tapes are thought abandoned. Raises Away."""
        wait = round(self._timing.abandoned * 1000)
        live = [tape.head for tape in self._tapes.values() if tape.ending is None]
        keys = [self._names.tape(head.id) for head in live] + [self._names.key(head.key) for head in live if head.key]
        if keys:
            await self._link.ask_all([command("PEXPIRE", key, wait) for key in keys])

    def kept(self, head: Head) -> int:
        """Milliseconds after its ending."""
        return round(self._retention.of(head) * 1000)

    async def _create(self, head: Head) -> Taken | None:
        names = self._names
        keys = (names.tape(head.id), names.key(head.key), names.owned(self._me), names.stored(head.tenant))
        begin = body(Begin(head, 1, self._me))[1]
        wait = round(self._timing.abandoned * 1000)
        stored = b"1" if head.store else b""
        reply = await self._link.ask("EVAL", CREATE, len(keys), *keys, head.id, begin, taken(head), wait, stored)
        return msgspec.json.decode(reply, type=Taken) if isinstance(reply, bytes) else None

    async def _exorcise(self, id: str) -> None:
        await self._link.ask_all([deleting(self._names, self._ghosts[id], b"")])
        self._ghosts.pop(id, None)

    def _made(self, head: Head, fence: Id, listener: Listener) -> Own:
        journal = Journal(self._writer, self._names.tape(head.id), fence, partial(self._finish, head), self._now)
        tape = Own(head, self._room.blocks(), journal, listener, partial(self._over, journal), self._largest)
        journal.failed = tape.fail
        self._writer.take(journal)
        self._tapes[head.id] = tape
        return tape

    def _finish(self, head: Head, entry: Entry) -> Command:
        names = self._names
        id = head.id
        keys = (names.tape(id), names.owned(self._me), names.gone(id), names.metadata(id), names.key(head.key))
        kept = self.kept(head)
        remembered = kept + round(self._retention.gone * 1000)
        written = command("EVAL", END, len(keys), *keys, bytes(entry.id))
        return written + command(id, mark(head.tenant), taken(head), kept, remembered, *entry.fields)

    def _over(self, journal: Journal, tape: Own) -> None:
        """Nothing more is written: it ended, or can't be written here any more and is to be had from Redis."""
        journal.stop()
        self._told_over(tape.head.id)
        if tape.ending is None and self._tapes.get(tape.head.id) is tape:
            del self._tapes[tape.head.id]
        self._linger(tape)

    def _linger(self, tape: Own) -> None:
        linger = min(self._timing.linger, self._retention.of(tape.head))
        self._lingering.after(linger, tape)

    def _let_go(self, tape: Own) -> None:
        """Whoever asks now is told by Redis; whoever reads still keeps what is in memory."""
        if self._tapes.get(tape.head.id) is tape:
            del self._tapes[tape.head.id]
        if tape.read:
            self._linger(tape)
        else:
            self._room.free(tape.blocks)

    def _make_room(self) -> None:
        """What has ended is in Redis as well."""
        for tape in list(self._tapes.values()):
            if tape.ending is not None and not tape.read:
                self._let_go(tape)


def taken(head: Head) -> bytes:
    """What a key says of its tape; empty where there is no key."""
    return msgspec.json.encode(Taken(head.id, head.digest)) if head.key else b""


def deleting(names: Names, head: Head, message: bytes) -> Command:
    """The command after which there is no such tape, and never was. `message` is what all owners are told."""
    id = head.id
    keys = [names.tape(id), names.metadata(id), names.key(head.key), names.stored(head.tenant), names.owners]
    keys += (names.cancelled(id), names.gone(id))
    return command("EVAL", DELETE, len(keys), *keys, id, taken(head), message, names.prefix)


def _nobody(signal: Signal) -> None:
    """Until somebody goes on with it."""
