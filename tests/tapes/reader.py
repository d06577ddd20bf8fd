"""A follower for tests, and a short answer to follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from riverrun.failures import Failure
from riverrun.stream.flow import Ending
from riverrun.tapes.contract import Following, Head, Signal, Tape
from riverrun.wire.chunk import DONE, Identity, Writer

PATIENCE = 60.0
"""Seconds after which a test gives up; nothing that works takes so long."""

WRITER = Writer(Identity("chatcmpl-1", 7, "tiny"))
ANSWER = [
    WRITER.delta(0, b'"role":"assistant","content":"","refusal":null'),
    WRITER.text(0, b'"Hi"'),
    WRITER.delta(0, b"", finish_reason=b'"stop"'),
    DONE,
]


def head(id: str = "chatcmpl-1", tenant: str = "acme", **more: object) -> Head:
    return Head(id, 7, tenant, **more)  # type: ignore[arg-type]  # each test names the fields that it is about


class Reader:
    """Takes `room` blocks at a time."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.blocks: list[bytes] = []
        self.lasts: list[int] = []
        self.endings: list[Ending] = []
        self.failures: list[Failure] = []
        self.following: Following
        self._changed = asyncio.Event()

    def on(self, tape: Tape, after: int = 0) -> Reader:
        self.following = tape.follow(after, self)
        self.following.more()
        return self

    def frames(self, block: bytes, last: int) -> bool:
        self.blocks.append(block)
        self.lasts.append(last)
        self.room -= 1
        self._changed.set()
        return self.room > 0

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)
        self._changed.set()

    def broke(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._changed.set()

    @property
    def bytes(self) -> bytes:
        return b"".join(self.blocks)

    @property
    def over(self) -> bool:
        return bool(self.endings or self.failures)

    async def until(self, last: int) -> None:
        """Waits for event `last`."""
        await self._wait(lambda: bool(self.lasts) and self.lasts[-1] >= last)

    async def done(self) -> None:
        """Waits for the ending, or for a break."""
        await self._wait(lambda: self.over)

    async def _wait(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not enough():
                self._changed.clear()
                await self._changed.wait()


class Ears:
    """A listener that remembers the signals that it heard."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self._changed = asyncio.Event()

    def __call__(self, signal: Signal) -> None:
        self.heard.append(signal)
        self._changed.set()

    async def until(self, signal: Signal) -> None:
        async with asyncio.timeout(PATIENCE):
            while signal not in self.heard:
                self._changed.clear()
                await self._changed.wait()
