"""The log of one stream as this process has it: events, first facts, ending, and everybody here who follows it.

A log does not know who writes it: its owner (`own.py`), or what comes from an owner elsewhere (`copy.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.blocks import Blocks, durable
from riverrun.tapes.contract import Committed, Follower, Following, Head
from riverrun.tapes.retention import expired
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.completion import Completion
from riverrun.wire.fold import fold


class Log:
    """One stream. `readers` is told True when the first follower comes, and False when the last one has left."""

    def __init__(self, head: Head, blocks: Blocks, readers: Callable[[bool], None]) -> None:
        self.head = head
        self.blocks = blocks
        blocks.hold(len(bytes(head.request)))
        self.last = 0
        self.ending: Ending | None = None
        self.usage: CompletionUsage | None = None
        self.metadata: Mapping[str, str] = _metadata(head)
        self.lost: Failure | None = None
        """Why no more can be had here, where the ending is not known."""
        self._readers = readers
        self._followings: list[_Following] = []
        self._committed: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def read(self) -> bool:
        """Whether anybody follows it here."""
        return bool(self._followings)

    @property
    def facts(self) -> Committed | None:
        """What was known at the first content; None: there was none."""
        known = self._committed.done() and self._committed.exception() is None
        return self._committed.result() if known else None

    def grown(self, block: bytes, last: int) -> None:
        """The block that ends at event `last` may be read now. Those before it were told before."""
        before, self.last = self.last, last
        for following in tuple(self._followings):
            following.fed(before, block, last)

    def began(self, facts: Committed) -> None:
        """There is content."""
        if not self._committed.done():
            self._committed.set_result(facts)

    def ends(self, ending: Ending, usage: CompletionUsage | None) -> None:
        """There is no more."""
        if self.ending is not None:
            return
        self.ending, self.usage = ending, usage
        if isinstance(ending, Finished):
            self._ended.set_result(None)
        else:
            self._fail(_failure(ending))
        for following in tuple(self._followings):
            following.tell()

    def breaks(self, failure: Failure) -> None:
        """No more can be had here, whether it has ended or nobody knows how it will."""
        if self.lost is None:
            self.lost = failure
            self._fail(failure)
            for following in tuple(self._followings):
                following.tell()

    def follow(self, after: int, follower: Follower) -> Following:
        following = _Following(self, follower, after)
        self._followings.append(following)
        if len(self._followings) == 1:
            self._readers(True)
        return following

    async def committed(self) -> Committed:
        return await asyncio.shield(self._committed)

    async def ended(self) -> Completion:
        await asyncio.shield(self._ended)
        if self.blocks.dropped:
            raise self.lost or expired(self.head.id)
        return fold(self.blocks.payloads(), self.usage)

    def left(self, following: _Following) -> None:
        """A follower has gone."""
        if following in self._followings:
            self._followings.remove(following)
            if not self._followings:
                self._readers(False)

    def _fail(self, failure: Failure) -> None:
        for future in (self._committed, self._ended):
            if not future.done():
                future.set_exception(failure)
                future.exception()  # nobody need be waiting: a stream's reader sees the error frame instead


class _Following:
    """A cursor: the number of the last event that the follower has, and whether it can take more."""

    def __init__(self, log: Log, follower: Follower, after: int) -> None:
        self._log = log
        self._follower = follower
        self._after = after
        self._full = True  # until the first `more`
        self._told = False

    def fed(self, before: int, block: bytes, last: int) -> None:
        """The newest block. Who stands right before it gets it as it is; who is behind finds it in the log."""
        if self._full:
            return
        if self._after == before:
            self._after = last
            self._full = not self._follower.frames(block, last)
        else:
            self.more()

    def more(self) -> None:
        self._full = False
        log = self._log
        while not self._full and self._after < log.last and not log.blocks.dropped:
            block, last = log.blocks.after(self._after)
            self._after = min(last, log.last)
            if last > log.last:
                block = durable(block, last, log.last)
            self._full = not self._follower.frames(block, self._after)
        self.tell()

    def tell(self) -> None:
        """The ending, once, to a follower that has everything."""
        log = self._log
        behind = self._after < log.last
        if self._full or self._told or (behind and not log.blocks.dropped):
            return
        if log.ending is not None and not behind:
            self._told = True
            self._follower.ended(log.ending)
        elif log.lost is not None or behind:
            self._told = True
            self._follower.broke(log.lost or expired(log.head.id))

    def leave(self) -> None:
        self._log.left(self)


class _Stored(msgspec.Struct):
    metadata: dict[str, str] | None = None


def _metadata(head: Head) -> Mapping[str, str]:
    return msgspec.json.decode(head.request, type=_Stored).metadata or {} if head.store else {}


def _failure(ending: Refused | Cancelled) -> Failure:
    if isinstance(ending, Refused):
        return ending.failure
    words = "The answer was cancelled before it was complete."
    return Failure(Cause.UPSTREAM_INTERRUPTED, words, code="cancelled", retry=False)  # an SDK would ask for it again
