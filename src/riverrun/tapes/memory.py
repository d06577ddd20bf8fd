"""A tape in this process's memory. It survives clients that drop, and nothing else.

Blocks are kept as they were appended, so that a replay is what was sent and not what could be rendered again.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, Follower, Following, Head, Signal
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.completion import Completion
from riverrun.wire.fold import fold
from riverrun.wire.sse import frame


class MemoryTape:
    """One stream. `signal` is the owner's ear: it is told when the last follower of a live tape leaves."""

    def __init__(self, head: Head, signal: Callable[[Signal], None]) -> None:
        self.head = head
        self.last = 0
        self.ending: Ending | None = None
        self._usage: CompletionUsage | None = None
        self._signal = signal
        self._blocks: list[bytes] = []  # one per append
        self._lasts: list[int] = []  # the number of each block's last event
        self._followings: list[_Following] = []
        self._committed: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def append(self, payloads: list[bytes]) -> None:
        first = self.last + 1
        self.last += len(payloads)
        if len(payloads) == 1:
            block = frame(first, payloads[0])
        else:
            block = b"".join([frame(number, payload) for number, payload in enumerate(payloads, first)])
        self._blocks.append(block)
        self._lasts.append(self.last)
        for following in tuple(self._followings):
            following.feed(block, self.last)

    def payloads(self) -> list[bytes]:
        """The data of every event so far."""
        events = b"".join(self._blocks).split(b"\n\n")[:-1]
        return [event.partition(b"\ndata: ")[2] for event in events]

    def commit(self, facts: Committed) -> None:
        if not self._committed.done():
            self._committed.set_result(facts)

    def close(self, ending: Ending, usage: CompletionUsage | None) -> None:
        self.ending = ending
        self._usage = usage
        if not isinstance(ending, Finished):
            failure = _failure(ending)
            for future in (self._committed, self._ended):
                if not future.done():
                    future.set_exception(failure)
                    future.exception()  # nobody need be waiting: a stream's reader sees the error frame instead
        else:
            self._ended.set_result(None)
        for following in list(self._followings):
            following.feed_ending()

    def follow(self, after: int, follower: Follower) -> Following:
        following = _Following(self, follower, bisect_right(self._lasts, after), after)
        self._followings.append(following)
        return following

    async def committed(self) -> Committed:
        return await asyncio.shield(self._committed)

    async def ended(self) -> Completion:
        await asyncio.shield(self._ended)
        return fold(self.payloads(), self._usage)

    def left(self, following: _Following) -> None:
        """A follower has gone: with the last one, the owner may stop."""
        if following in self._followings:
            self._followings.remove(following)
            if not self._followings and self.ending is None:
                self._signal("left")


class _Following:
    """A cursor: the index of the next block, and whether the follower can take it."""

    def __init__(self, tape: MemoryTape, follower: Follower, block: int, after: int) -> None:
        self._tape = tape
        self._follower = follower
        self._block = block
        self._after = after  # a cursor may stand inside a block
        self._full = True  # until the first `more`
        self._told = False

    def feed(self, block: bytes, last: int) -> None:
        """The tape's newest block; a follower that is behind will find it there."""
        if not self._full:
            self._block += 1
            self._full = not self._follower.frames(block, last)

    def feed_ending(self) -> None:
        if not self._full and not self._told and self._tape.ending is not None:
            self._told = True
            self._follower.ended(self._tape.ending)

    def more(self) -> None:
        self._full = False
        blocks, lasts = self._tape._blocks, self._tape._lasts
        while not self._full and self._block < len(blocks):
            block, last = self._unread(blocks[self._block], lasts[self._block]), lasts[self._block]
            self._block += 1
            self._full = not self._follower.frames(block, last)
        self.feed_ending()

    def leave(self) -> None:
        self._tape.left(self)

    def _unread(self, block: bytes, last: int) -> bytes:
        """The part of a block that lies after the cursor."""
        events = block.split(b"\n\n")[:-1]
        skip = self._after - (last - len(events))
        return block if skip <= 0 else b"".join(event + b"\n\n" for event in events[skip:])


def _failure(ending: Refused | Cancelled) -> Failure:
    if isinstance(ending, Refused):
        return ending.failure
    return Failure(Cause.UPSTREAM_INTERRUPTED, "The answer was cancelled before it was complete.")
