"""How much all tape files of a folder take, live ones and ended ones: a bound, over which the ended that would expire
first go, and then no new tapes are made.

Between two looks at the folder it is an estimate: what was there, and what this process has written since.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from riverrun.failures import Cause, Failure
from riverrun.tapes.disk import Disk, Found
from riverrun.tapes.file_places import MISSING, Places

STRIDE = 200
"""Files after which the loop gets its turn."""

EASE = 0.9
"""Of the bound, to which the ended tapes are cut when it was passed: looking comes in strides, not at each new tape."""

PAUSE = 1.0
"""Seconds between two looks for room where the last found none."""


class Volume:
    """`bound` is in bytes, None for no bound. `expire` removes an ended tape, and says whether it did."""

    def __init__(self, places: Places, bound: int | None, expire: Callable[[Path], bool]) -> None:
        self._places = places
        self._bound = bound
        self._expire = expire
        self._seen: int | None = None  # at the last look; None: there was none
        self._written = 0  # since that
        self._again = 0.0  # when to look again, by the loop's clock
        self._looking = asyncio.Lock()

    @property
    def over(self) -> bool:
        """Whether there is no room, as far as we know."""
        return self._bound is not None and (self._seen is None or self._seen + self._written > self._bound)

    def grew(self, size: int) -> None:
        """This process has written so many bytes of tapes."""
        self._written += size

    async def admit(self) -> None:
        """Makes room for another tape. Raises Failure where there is none, and OSError."""
        if not self.over:
            return
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self.over and now >= self._again:
                await self._fit()
                self._again = now + PAUSE if self.over else 0.0
        if self.over:
            raise Failure(
                Cause.OVERLOADED,
                "The server has no room for the record of another stream; ask again in a moment.",
                retry_after=5.0,
            )

    async def fit(self, ended: int) -> None:
        """Lets go of what is over the bound. `ended`: bytes of what has ended, as somebody has just seen it. Raises
        OSError."""
        async with self._looking:
            if self._bound is not None:
                self._written = 0
                self._seen = await self._live() + ended
                if self._seen > self._bound:
                    await self._fit()

    async def _fit(self) -> None:
        """Looks at the folder."""
        if self._bound is None:
            return
        places = self._places
        self._written = 0
        ended = [(found.mtime, found.size, name) async for name, found in every(places.disk, places.ended)]
        total = await self._live() + sum(size for _, size, _ in ended)
        if total > self._bound:
            for _, size, name in sorted(ended):
                if total <= self._bound * EASE:
                    break
                if self._expire(places.ended / name):
                    total -= size
        self._seen = total

    async def _live(self) -> int:
        total = 0
        for folder in self._places.owners():
            try:
                total += sum([found.size async for _, found in every(self._places.disk, folder)])
            except MISSING:  # its owner left, or it is none
                continue
        return total


async def every(disk: Disk, folder: Path) -> AsyncIterator[tuple[str, Found]]:
    """The files of a folder. There may be very many, so others have their turn in between. Raises OSError."""
    for number, each in enumerate(disk.files(folder), 1):
        yield each
        if number % STRIDE == 0:
            await asyncio.sleep(0)
