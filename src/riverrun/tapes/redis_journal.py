"""One tape's way to Redis: what it appended, in entries of one or more records, of which at most one is on its way.

It does no I/O: it says what is to be sent, and judges by the answers what became of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from riverrun.failures import Failure
from riverrun.stream.flow import Ending
from riverrun.tapes.contract import Committed
from riverrun.tapes.own import Done
from riverrun.tapes.records import BLOCK, NUMBER, Record, body, told
from riverrun.tapes.redis_entries import Entry, Id
from riverrun.tapes.redis_reply import Command, Reply, lost, taken_over
from riverrun.wire.chunk import CompletionUsage

ENTRY = 1024 * 1024
"""Bytes of one entry, about."""
FIRST_EPOCH = 1
RECENT = 128 * 1024
"""Bytes of the newest entries, about, that are kept to be written again: where a replica of Redis took its place, the
last that was acknowledged may be missing."""
RECORDS = 1000
"""Of one entry: a script can be given only so many words."""


Then = Callable[[], None]


class Sender(Protocol):
    """Who sends what journals have."""

    def wake(self, journal: Journal) -> None:
        """It has something."""

    def forget(self, journal: Journal) -> None:
        """It will have no more."""


class Waiting(NamedTuple):
    """A record that is to be written, and who is told when it is."""

    kind: bytes
    data: bytes
    then: Then


class Sent(NamedTuple):
    """An entry that may or may not be there by now."""

    entry: Entry
    thens: list[Then]
    last: bool

    @property
    def size(self) -> int:
        return sum(map(len, self.entry.fields))


class Journal:
    """One tape's way to Redis. `finish` makes the command that writes the last entry; `now` tells the Unix time.

    `failed` is told once, by whoever finds that nothing more can be written.
    """

    def __init__(
        self, sender: Sender, key: bytes, fence: Id, finish: Callable[[Entry], Command], now: Callable[[], float]
    ) -> None:
        self.key = key
        self.top = fence
        """The newest entry that Redis is known to have."""
        self.since: float | None = None
        """Since when something waits, by the loop's clock."""
        self.shut = False
        self.failed: Callable[[Failure], object] = _nobody
        self._sender = sender
        self._finish = finish
        self._now = now
        self._waiting: deque[Waiting] = deque()
        self._closing = False
        self._due: deque[Sent] = deque()  # the first is on its way, or was and may be there
        self._recent: deque[Sent] = deque()
        self._recent_size = 0

    @property
    def unsettled(self) -> bool:
        """Whether an entry was sent that is not known to be there."""
        return bool(self._due)

    @property
    def busy(self) -> bool:
        return not self.shut and bool(self._due or self._waiting)

    def block(self, block: bytes, last: int, grown: Callable[[bytes, int], None]) -> None:
        self._add(BLOCK, NUMBER.pack(last) + block, partial(grown, block, last))

    def commit(self, facts: Committed, began: Callable[[Committed], None]) -> None:
        self._record(facts, partial(began, facts))

    def close(self, ending: Ending, usage: CompletionUsage | None, done: Done) -> None:
        self._closing = True
        self._record(told(ending, usage, self._now()), partial(done, ending, usage))

    def next(self) -> Sent:
        """What is to be sent now: the same as before where that was not acknowledged."""
        if not self._due:
            fields: list[bytes] = []
            thens: list[Then] = []
            size = 0
            while self._waiting and size < ENTRY and len(thens) < RECORDS:
                kind, data, then = self._waiting.popleft()
                fields += (kind, data)
                thens.append(then)
                size += len(data)
            entry = Entry(Id(self.top.epoch, self.top.sequence + 1), fields)
            self._due.append(Sent(entry, thens, self._closing and not self._waiting))
        return self._due[0]

    def command(self) -> Command:
        sent = self.next()
        if sent.last:
            return self._finish(sent.entry)
        return [b"XADD", self.key, b"NOMKSTREAM", bytes(sent.entry.id), *sent.entry.fields]

    def answered(self, reply: Reply) -> None:
        """What Redis said to the command. If that is an error, the top must be looked at."""
        if isinstance(reply, bytes):
            self._written()
        elif reply is None:
            self.fail(lost())

    def judge(self, top: Id | None) -> None:
        """The stream's newest entry tells what became of it."""
        if self.shut or top == self.top:
            return
        if top is not None and top.epoch > self.top.epoch:
            self.fail(taken_over())
        elif self._due and top == self._due[0].entry.id:
            self._written()
        elif top is None or not self._rewound(top):
            self.fail(lost())

    def fail(self, failure: Failure) -> None:
        if not self.shut:
            failed = self.failed
            self.stop()
            failed(failure)

    def stop(self) -> None:
        """Nothing more is written."""
        self.shut = True
        self.failed = _nobody
        for kept in (self._waiting, self._due, self._recent):
            kept.clear()
        self._sender.forget(self)

    def _written(self) -> None:
        if not self._due:
            return
        sent = self._due.popleft()
        self.top = sent.entry.id
        self.since = asyncio.get_running_loop().time() if self.busy else None
        self._remember(sent)
        if sent.last:
            self.stop()
        for then in sent.thens:
            then()

    def _remember(self, sent: Sent) -> None:
        self._recent.append(sent._replace(thens=[]))
        self._recent_size += sent.size
        while self._recent_size > RECENT:
            self._recent_size -= self._recent.popleft().size

    def _rewound(self, top: Id) -> bool:
        """Whether what came after `top` can be written again, under the same ids: who has it already passes it over.

        Not on a tape that was taken over: a Redis that forgot may have let another take it over in the same epoch.
        """
        if self.top.epoch != FIRST_EPOCH:
            return False
        missing = [sent for sent in self._recent if sent.entry.id > top]
        if not missing or missing[0].entry.id != Id(top.epoch, top.sequence + 1):
            return False
        for sent in missing:
            self._recent.pop()
            self._recent_size -= sent.size
        self._due.extendleft(reversed(missing))
        self.top = top
        if self.since is None:
            self.since = asyncio.get_running_loop().time()
        return True

    def _record(self, record: Record, then: Then) -> None:
        self._add(*body(record), then)

    def _add(self, kind: bytes, data: bytes, then: Then) -> None:
        if self.shut:
            return
        self._waiting.append(Waiting(kind, data, then))
        if self.since is None:
            self.since = asyncio.get_running_loop().time()
        self._sender.wake(self)


def _nobody(failure: Failure) -> None:
    """Hears it."""
