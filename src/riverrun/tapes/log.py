"""The log of one stream as this process has it: events, first facts, ending, and everybody here who follows it.

A log does not know who writes it: its owner (`own.py`), or what comes from an owner elsewhere (`copy.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from riverrun.failures import Cause, Failure, Told
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.blocks import Blocks, durable
from riverrun.tapes.contract import Attending, Committed, Follower, Following, Head
from riverrun.tapes.retention import expired
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.completion import Completion
from riverrun.wire.fold import fold

NO_METADATA: Mapping[str, str] = {}


class Log:
    """One stream. What nobody waits for and nobody follows costs nothing: most streams have one of each at most."""

    __slots__ = (
        "_attending",
        "_followings",
        "_waiters",
        "blocks",
        "ending",
        "facts",
        "head",
        "last",
        "lost",
        "metadata",
        "usage",
    )

    def __init__(self, head: Head, blocks: Blocks) -> None:
        self.head = head
        self.blocks = blocks
        blocks.hold(len(head.request))
        self.last = 0
        self.facts: Committed | None = None
        self.ending: Ending | None = None
        self.usage: CompletionUsage | None = None
        self.metadata: Mapping[str, str] = _metadata(head) if head.store else NO_METADATA
        self.lost: Failure | None = None
        """Why no more can be had here, where the ending is not known."""
        self._followings: tuple[_Following, ...] = ()  # a new one for each change: it may change while it is walked
        self._attending: tuple[Attending, ...] = ()  # likewise
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    @property
    def read(self) -> bool:
        """Whether anybody follows or attends it here."""
        return bool(self._followings or self._attending)

    def grown(self, block: bytes, last: int) -> None:
        """The block that ends at event `last` may be read now. Those before it were told before."""
        before, self.last = self.last, last
        for following in self._followings:
            following.fed(before, block, last)

    def began(self, facts: Committed) -> None:
        """There is content."""
        if self.facts is None and self.ending is None and self.lost is None:
            self.facts = facts
            if self._waiters:
                self._wake()

    def ends(self, ending: Ending, usage: CompletionUsage | None) -> None:
        """There is no more."""
        if self.ending is None:
            self.ending, self.usage = ending, usage
            self._tell_all()

    def breaks(self, failure: Failure) -> None:
        """No more can be had here, whether it has ended or nobody knows how it will."""
        if self.lost is None:
            self.lost = failure
            self._tell_all()

    def follow(self, after: int, follower: Follower) -> Following:
        following = _Following(self, follower, after)
        first = not (self._followings or self._attending)
        self._followings += (following,)
        if first:
            self._heard(True)
        return following

    def attend(self, over: Attending) -> None:
        if self.ending is not None or self.lost is not None:
            over()
            return
        first = not (self._followings or self._attending)
        self._attending += (over,)
        if first:
            self._heard(True)

    def absent(self, over: Attending) -> None:
        if over in self._attending:
            self._attending = tuple([each for each in self._attending if each != over])
            if not (self._followings or self._attending):
                self._heard(False)

    async def committed(self) -> Committed:
        while self.facts is None:
            await self._news()
        return self.facts

    async def ended(self) -> Completion:
        while not isinstance(self.ending, Finished):
            await self._news()
        if self.blocks.dropped:
            raise self.lost or expired(self.head.id)
        return fold(self.blocks.payloads(), self.usage)

    def left(self, following: _Following) -> None:
        """A follower has gone."""
        if following in self._followings:
            self._followings = tuple([each for each in self._followings if each is not following])
            if not (self._followings or self._attending):
                self._heard(False)

    def _heard(self, reading: bool) -> None:
        """The first who follows or attends has come (True), or the last one has left."""

    def _news(self) -> asyncio.Future[None]:
        """Done when more is known than now; who waits no more stays on the list until then.

        Where no more will be known it raises the Failure, for each a new one: what is raised holds on to those through
        whom it went.
        """
        ending = self.ending
        failure = self.lost if ending is None or isinstance(ending, Finished) else _why(ending)
        if failure is not None:
            raise Told.of(failure).failure()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters += (waiter,)
        return waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _tell_all(self) -> None:
        if self._waiters:
            self._wake()
        for following in self._followings:
            following.tell()
        for over in self._attending:
            over()


class _Following:
    """A cursor: the number of the last event that the follower has, and whether it can take more."""

    __slots__ = ("_after", "_follower", "_full", "_log")

    def __init__(self, log: Log, follower: Follower, after: int) -> None:
        self._log = log
        self._follower = follower
        self._after = after
        self._full = True  # until the first `more`

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
        """The ending, to a follower that has everything."""
        log = self._log
        behind = self._after < log.last
        if self._full or (behind and not log.blocks.dropped):
            return
        if log.ending is not None and not behind:
            self._dismissed().ended(log.ending)
        elif log.lost is not None or behind:
            self._dismissed().broke(log.lost or expired(log.head.id))

    def leave(self) -> None:
        self._dismissed()
        self._log.left(self)

    def _dismissed(self) -> Follower:
        """The follower, which is told one thing more at most. It knows its place here, so this lets go of it."""
        follower, self._follower = self._follower, NOBODY
        return follower


class _Nobody:
    """Who stands in a follower's place when it has gone, or has been told how it ended."""

    def frames(self, block: bytes, last: int) -> bool:
        return False

    def ended(self, ending: Ending) -> None: ...

    def broke(self, failure: Failure) -> None: ...


NOBODY = _Nobody()


class _Stored(msgspec.Struct):
    metadata: dict[str, str] | None = None


def _metadata(head: Head) -> Mapping[str, str]:
    return msgspec.json.decode(head.request, type=_Stored).metadata or NO_METADATA


def _why(ending: Refused | Cancelled) -> Failure:
    if isinstance(ending, Refused):
        return ending.failure
    words = "The answer was cancelled before it was complete."
    return Failure(Cause.UPSTREAM_INTERRUPTED, words, code="cancelled", retry=False)  # an SDK would ask for it again
