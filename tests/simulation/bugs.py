"""Bugs on purpose: each breaks one promise where the code keeps it, so that the simulation can show that it sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riverrun.runs.books import Account
from riverrun.server.events import EventStream
from riverrun.stream.flow import Ending, Finished
from riverrun.stream.tally import Used
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.contract import Head, Listener, Taken, Tape
from riverrun.tapes.file import FileTapes
from riverrun.tapes.file_keys import Keys
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.own import Own, unwritable
from riverrun.tapes.room import Room
from riverrun.wire.sse import frame

Plant = Callable[[pytest.MonkeyPatch], None]


def drop_an_event_on_replay(patch: pytest.MonkeyPatch) -> None:
    after = Blocks.after

    def skipping(self: Blocks, number: int) -> tuple[bytes, int]:
        block, last = after(self, number)
        rest = block.partition(b"\n\n")[2]
        return (rest, last) if number and rest else (block, last)

    patch.setattr(Blocks, "after", skipping)


def feed_followers_before_the_journal(patch: pytest.MonkeyPatch) -> None:
    def append(self: Own, payloads: list[bytes]) -> None:
        if self.broken is not None:
            raise self.broken
        block = b"".join(frame(number, each) for number, each in enumerate(payloads, self.written + 1))
        self.written += len(payloads)
        self.blocks.add(block, self.written)
        self.grown(block, self.written)
        if self.journal is None:
            return
        try:
            self.journal.block(block, self.written, lambda block, last: None)
        except OSError as error:
            raise self.fail(unwritable(error)) from error

    patch.setattr(Own, "append", append)


def count_a_settle_twice(patch: pytest.MonkeyPatch) -> None:
    settle = Account.settle

    def twice(self: Account, number: int, ending: str, used: Used) -> None:
        settle(self, number, ending, used)
        settle(self, number, ending, used)

    patch.setattr(Account, "settle", twice)


def let_a_foreign_tenant_open(patch: pytest.MonkeyPatch) -> None:
    opened, of_memory = FileTapes.open, MemoryTapes.open

    async def anybody(self: FileTapes, tenant: str, id: str) -> Tape | None:
        head = self._sweep.head(id)
        return await opened(self, head.tenant if head is not None else tenant, id)

    async def in_memory(self: MemoryTapes, tenant: str, id: str) -> Tape | None:
        tape = self._tapes.get(id)
        return await of_memory(self, tape.head.tenant if tape is not None else tenant, id)

    patch.setattr(FileTapes, "open", anybody)
    patch.setattr(MemoryTapes, "open", in_memory)


def end_cleanly_on_a_cut(patch: pytest.MonkeyPatch) -> None:
    def ended(self: EventStream, ending: Ending) -> None:
        self._stream.finish()

    patch.setattr(EventStream, "ended", ended)


def forget_the_key(patch: pytest.MonkeyPatch) -> None:
    create = MemoryTapes.create

    async def keyless(self: MemoryTapes, head: Head, listener: Listener) -> Own | Taken:
        self._keys.clear()
        return await create(self, head, listener)

    patch.setattr(MemoryTapes, "create", keyless)
    patch.setattr(Keys, "taken", lambda self, key: None)
    patch.setattr(Keys, "claim", lambda self, head, until: None)


def take_a_cut_for_the_end(patch: pytest.MonkeyPatch) -> None:
    close = Own.close

    def closed(self: Own, ending: Ending, usage: object) -> None:
        close(self, Finished(), None)

    patch.setattr(Own, "close", closed)


def keep_the_room(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Room, "free", lambda self, blocks: None)


def lose_what_a_dead_owner_wrote(patch: pytest.MonkeyPatch) -> None:
    restored = Own.restored
    patch.setattr(Own, "restored", lambda self, last, epoch: restored(self, max(0, last - 1), epoch))


BUGS: dict[str, tuple[Plant, str]] = {
    "an event is dropped on replay": (drop_an_event_on_replay, "V2"),
    "followers are fed before the journal": (feed_followers_before_the_journal, "V1"),
    "a settle is counted twice": (count_a_settle_twice, "the log"),
    "a foreign tenant may open": (let_a_foreign_tenant_open, "V8"),
    "a cut ends cleanly": (end_cleanly_on_a_cut, "V6"),
    "a key is forgotten": (forget_the_key, "V7"),
    "a cut is written as the end": (take_a_cut_for_the_end, "V2"),
    "the room is kept": (keep_the_room, "V9"),
    "a dead owner's last event is numbered again": (lose_what_a_dead_owner_wrote, "V2"),
}
"""How each is planted, and a check that finds it."""
