"""The tapes of other owners as this process reads them: loaded once, and then fed from one connection for all of them.

A tape is fed as long as somebody here holds it; what nobody holds is forgotten by itself.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from riverrun.failures import Cause, Failure
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.contract import Head
from riverrun.tapes.copy import Copy
from riverrun.tapes.records import Begin, Damaged, NewerFormat
from riverrun.tapes.redis_entries import Entry, Id, entries, streams
from riverrun.tapes.redis_link import Link, Timing
from riverrun.tapes.redis_names import Names
from riverrun.tapes.redis_presence import Message, heard, saying
from riverrun.tapes.redis_reply import Away, Said, command, lost
from riverrun.tapes.room import Room

PAGE = 256
"""Entries that are read at once, of one stream."""
BLOCK = 1.0
"""Seconds that Redis holds back an answer when there is nothing new."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between tries while Redis is away, doubling."""


class Elsewhere(Copy):
    """A tape of another owner. `position` is the newest entry that it was fed; `changed` is told its id when readers
    come or go."""

    def __init__(self, head: Head, blocks: Blocks, changed: Callable[[str], None]) -> None:
        super().__init__(head, blocks)
        self._changed = changed
        self.position = Id(0, 0)

    @property
    def live(self) -> bool:
        return self.ending is None and self.lost is None

    def _heard(self, reading: bool) -> None:
        self._changed(self.head.id)

    def feed(self, entry: Entry) -> None:
        """The next entry, or one that it had already. What can't be read breaks the tape."""
        if entry.id <= self.position or not self.live:
            return
        self.position = entry.id
        try:
            for record in entry.records():
                self.take(record)
        except (Damaged, NewerFormat) as error:
            self.breaks(unreadable(self.head.id, error))


class Reader:
    """`hear` is told what others say to us; `changed` of a tape whose readers or owner are others now."""

    def __init__(
        self,
        link: Link,
        names: Names,
        me: str,
        room: Room,
        timing: Timing,
        hear: Callable[[Message], None],
        changed: Callable[[str], None],
    ) -> None:
        self._link = link
        self._names = names
        self._me = me
        self._room = room
        self._timing = timing
        self._hear = hear
        self._changed = changed
        self._ear = names.ear(me)
        self._heard = b"0-0"
        self._line = link.line()
        self._tapes: weakref.WeakValueDictionary[str, Elsewhere] = weakref.WeakValueDictionary()

    @property
    def live(self) -> list[Elsewhere]:
        """The tapes that are being fed."""
        return [tape for tape in self._tapes.values() if tape.live]

    def owner_of(self, id: str) -> str:
        """Whom to tell that this tape is read here; "" where it is not."""
        tape = self._tapes.get(id)
        return tape.owner if tape is not None and tape.live and tape.read else ""

    async def open(self, id: str, tenant: str) -> Elsewhere | None:
        """A tape of this tenant with all that is there by now, fed from now on. Raises Away, or Failure."""
        known = await self._known(id)
        if known is not None:
            return known if known.head.tenant == tenant else None
        tape: Elsewhere | None = None
        async with aclosing(stream(self._link, self._names.tape(id))) as found:
            async for entry in found:
                if tape is None:
                    tape = self._made(id, entry)
                if tape.head.tenant != tenant:
                    return None
                tape.feed(entry)
        if tape is None:
            return None
        if tape.lost is not None:
            raise tape.lost
        known = await self._known(id)
        return known if known is not None else await self._held(tape)

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        seen = loop.time()
        try:
            while True:
                try:
                    await self._read()
                    self._link.met()
                    pause, seen = FIRST_PAUSE, loop.time()
                except Away as away:
                    self._link.missed(away)
                    if loop.time() - seen > self._timing.patience:
                        for tape in self.live:
                            tape.breaks(away)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            await self._line.close()

    def drop(self, id: str, failure: Failure) -> None:
        """Its readers here are told that no more can be had."""
        tape = self._tapes.pop(id, None)
        if tape is not None:
            tape.breaks(failure)
            self._room.free(tape.blocks)

    async def check(self) -> None:
        """Breaks the tapes that Redis has no more. Raises Away."""
        live = self.live
        if live:
            there = await self._link.ask_all([command("EXISTS", self._names.tape(tape.head.id)) for tape in live])
            for tape, known in zip(live, there, strict=True):
                if known == 0:
                    tape.breaks(lost())

    async def _known(self, id: str) -> Elsewhere | None:
        """A tape that is held already, and still there."""
        tape = self._tapes.get(id)
        if tape is None or tape.lost is not None:
            return None
        if tape.live or await self._link.ask("EXISTS", self._names.tape(id)) == 1:
            return tape
        return None

    async def _held(self, tape: Elsewhere) -> Elsewhere:
        self._tapes[tape.head.id] = tape
        if tape.live:
            with suppress(Away):  # it is looked at a little later, anyway
                await self._link.ask_all([saying(self._names, self._me, Message("look"))])
        return tape

    def _made(self, id: str, first: Entry) -> Elsewhere:
        begin = beginning(id, first)
        blocks = self._room.blocks()
        tape = Elsewhere(begin.head, blocks, self._changed)
        weakref.finalize(tape, self._room.free, blocks)
        return tape

    async def _read(self) -> None:
        if not self._line.connected:
            await self._line.connect(self._timing.answer)
        keys, ids = [self._ear], [self._heard]
        for tape in self.live:
            keys.append(self._names.tape(tape.head.id))
            ids.append(bytes(tape.position))
        words = command("XREAD", "COUNT", PAGE, "BLOCK", int(BLOCK * 1000), "STREAMS")
        (reply,) = await self._line.exchange([[*words, *keys, *ids]], BLOCK + self._timing.answer)
        if isinstance(reply, Said):
            raise Away(reply.message)
        for key, found in streams(reply):
            if key == self._ear:
                self._listen(found)
            else:
                self._feed(key, found)

    def _listen(self, found: list[Entry]) -> None:
        for entry in found:
            self._heard = bytes(entry.id)
            message = heard(entry.fields)
            if message is not None:
                self._hear(message)

    def _feed(self, key: bytes, found: list[Entry]) -> None:
        tape = self._tapes.get(self._names.id(key))
        if tape is None:
            return
        owner = tape.owner
        for entry in found:
            tape.feed(entry)
        if tape.owner != owner:
            self._changed(tape.head.id)


async def stream(link: Link, key: bytes) -> AsyncGenerator[Entry, None]:
    """All entries of a stream that are there. Raises Away."""
    start = b"-"
    while True:
        found = entries(await link.ask("XRANGE", key, start, "+", "COUNT", PAGE))
        for entry in found:
            yield entry
        if len(found) < PAGE:
            return
        start = b"(" + bytes(found[-1].id)


def beginning(id: str, first: Entry) -> Begin:
    """What a tape's first entry says. Raises Failure."""
    try:
        begin = first.records()[0]
    except (Damaged, NewerFormat) as error:
        raise unreadable(id, error) from error
    if not isinstance(begin, Begin):
        raise unreadable(id, Damaged("its first record is missing"))
    return begin


def unreadable(id: str, error: ValueError) -> Failure:
    """What readers hear of a tape that a later riverrun wrote, or that was damaged."""
    return Failure(Cause.STORAGE, f"The record of the stream {id} can't be read here: {error}.")
