"""What a journal sends is on the stream once and in order, whatever becomes of the connection; and it is acknowledged
only when it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Committed
from riverrun.tapes.records import Block, Ended, Record
from riverrun.tapes.redis_entries import Entry, Id
from riverrun.tapes.redis_journal import Journal
from riverrun.tapes.redis_reply import Command, Said

FENCE = Id(1, 0)


class Stream:
    """As Redis has it: an id must be larger than the newest."""

    def __init__(self) -> None:
        self.entries = [Entry(FENCE, [])]

    @property
    def top(self) -> Id:
        return self.entries[-1].id

    def add(self, entry: Entry) -> bytes | Said:
        if entry.id <= self.top:
            return Said("ERR equal or smaller")
        self.entries.append(entry)
        return bytes(entry.id)

    @property
    def records(self) -> list[Record]:
        return [record for entry in self.entries for record in entry.records()]


class Sender:
    """Notes who has something."""

    def wake(self, journal: Journal) -> None:
        self.journal = journal

    def forget(self, journal: Journal) -> None:
        """The journal says so itself: it is shut."""


def nobody(*given: object) -> None:
    """Waits for no record."""


def finish(entry: Entry) -> Command:
    return [b"END", *entry.fields]


def new(failures: list[Failure]) -> Journal:
    journal = Journal(Sender(), b"tape", FENCE, finish, lambda: 7.0)
    journal.failed = failures.append
    return journal


class Scene:
    """A journal, its stream, and a connection on which all can happen; each step is a method."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.stream = Stream()
        self.journal = new(self.failures)
        self.given: list[Record] = []
        self.told: list[int] = []
        self._delayed: list[Entry] = []

    def append(self) -> None:
        self.journal.block(b"x", len(self.given), self._next(Block(b"x", len(self.given))))

    def commit(self) -> None:
        self.journal.commit(Committed("tiny"), self._next(Committed("tiny")))

    def close(self) -> None:
        self.journal.close(Finished(), None, self._next(Ended(7.0)))

    def settle(self) -> None:
        """As after a doubt: what is there is looked at, and what is not is sent."""
        self.journal.judge(self.stream.top)
        while self.journal.busy:
            self.journal.answered(self.stream.add(self.journal.next().entry))
            self.journal.judge(self.stream.top)

    def unheard(self) -> None:
        """It is written, and the answer is lost."""
        if self.journal.busy:
            self.stream.add(self.journal.next().entry)

    def unsent(self) -> None:
        """It is still on its way when the connection is given up."""
        if self.journal.busy:
            self._delayed.append(self.journal.next().entry)

    def late(self) -> None:
        """What was on its way arrives."""
        if self._delayed:
            self.stream.add(self._delayed.pop(0))

    def rewound(self) -> None:
        """Another Redis takes over, which does not have the last ones yet; what was on its way is lost."""
        del self.stream.entries[max(1, len(self.stream.entries) - 2) :]
        self._delayed.clear()
        self.journal.judge(self.stream.top)

    def _next(self, record: Record) -> Callable[..., None]:
        self.given.append(record)
        return partial(self._then, len(self.given) - 1)

    def _then(self, number: int, *given: object) -> None:
        """One record is acknowledged."""
        assert number < len(self.stream.records)  # it is there by now
        self.told.append(number)


STEPS = [Scene.append, Scene.append, Scene.commit, Scene.settle, Scene.unheard, Scene.unsent, Scene.late, Scene.rewound]


@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_everything_once_and_in_order(steps: list[Callable[[Scene], None]]) -> None:
    asyncio.run(_everything(steps))


async def _everything(steps: list[Callable[[Scene], None]]) -> None:
    scene = Scene()
    for step in [*steps, Scene.close, Scene.settle]:
        step(scene)
    assert scene.stream.records == scene.given
    assert scene.told == list(range(len(scene.given)))
    assert not scene.failures
    assert scene.journal.shut


def test_a_newer_epoch_ends_it() -> None:
    asyncio.run(_judged(Id(2, 0), "goes on"))


def test_a_stream_that_lost_its_end_ends_it() -> None:
    asyncio.run(_judged(Id(0, 9), "lost"))


def test_a_stream_that_is_gone_ends_it() -> None:
    asyncio.run(_judged(None, "lost"))


async def _judged(top: Id | None, said: str) -> None:
    failures: list[Failure] = []
    told: list[int] = []
    journal = new(failures)
    journal.block(b"x", 1, lambda block, last: told.append(last))
    journal.next()
    journal.judge(top)
    journal.judge(top)
    journal.block(b"y", 2, lambda block, last: told.append(last))
    assert [said in failure.message for failure in failures] == [True]
    assert told == []
    assert journal.shut
    assert not journal.busy


async def _last() -> None:
    journal = new([])
    journal.block(b"x", 1, nobody)
    assert journal.command()[0] == b"XADD"
    journal.close(Finished(), None, nobody)
    assert journal.command()[0] == b"XADD"  # the same as before, until it is acknowledged
    journal.answered(b"1-1")
    assert journal.command()[0] == b"END"


def test_the_last_entry_is_written_in_another_way() -> None:
    asyncio.run(_last())


async def _taken_over_before() -> None:
    failures: list[Failure] = []
    journal = Journal(Sender(), b"tape", Id(2, 0), finish, lambda: 7.0)
    journal.failed = failures.append
    for number in (1, 2):
        journal.block(b"x", number, nobody)
        journal.next()
        journal.answered(b"2-%d" % number)
    journal.judge(Id(2, 1))
    assert [failure.status for failure in failures] == [503]


def test_a_tape_that_was_taken_over_is_not_written_again() -> None:
    asyncio.run(_taken_over_before())
