"""What is no longer kept is removed: what has expired, and whatever lies beside a tape that goes.

Any number of processes may sweep the same folder at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

from riverrun.tapes.contract import Head
from riverrun.tapes.file_copy import head_of
from riverrun.tapes.file_journal import Tail
from riverrun.tapes.file_keys import Keys
from riverrun.tapes.file_places import Places, digest
from riverrun.tapes.file_volume import every
from riverrun.tapes.records import NewerFormat
from riverrun.tapes.retention import Retention

LOOKS = 24
"""In so many parts of the time for which it is known what is gone, those notes and the keys are looked at once."""


class Sweep:
    def __init__(self, places: Places, keys: Keys, retention: Retention, now: Callable[[], float]) -> None:
        self._places = places
        self._keys = keys
        self._retention = retention
        self._now = now
        self._names = -inf  # when to look at them again, by the loop's clock

    async def sweep(self) -> int:
        """Returns how many bytes the kept tapes take. Raises OSError; what was not done is done the next time."""
        places = self._places
        kept = await self._expired(places.ended, self.expire)
        await self._expired(places.metadata, places.drop)
        await self._expired(places.damaged, places.drop)
        await self._expired(places.notes, self.note)
        await self._sweep_names()
        return kept

    async def _sweep_names(self) -> None:
        """Keys, and what is known to be gone: no word of anybody's, and nothing once it has expired, so it may lie a
        little longer. But there is one of each answer of a day, and to look at all of them takes its time."""
        now = asyncio.get_running_loop().time()
        if now >= self._names:
            await self._expired(self._places.keys, self._keys.expire)
            await self._expired(self._places.gone, self._places.drop)
            self._names = now + self._retention.gone / LOOKS

    async def _expired(self, folder: Path, remove: Callable[[Path], object]) -> int:
        """Removes what has expired; returns how many bytes the others take."""
        kept = 0
        async for name, found in every(self._places.disk, folder):
            if found.mtime <= self._now():
                remove(folder / name)
            else:
                kept += found.size
        return kept

    def expire(self, path: Path) -> bool:
        """An ended tape is no longer kept; for a while it is known that there was one. Whether it went."""
        try:
            head = self._head(path)
        except (FileNotFoundError, NewerFormat):
            return False
        if head is not None:
            with suppress(OSError):  # a full disk: then it is unknown at once
                until = self._now() + self._retention.gone
                self._places.put(self._places.gone / head.id, digest(head.tenant).encode(), until)
            self.forget(head)
        return self._places.drop(path)

    def forget(self, head: Head) -> None:
        """What lies beside a tape."""
        if head.store:
            self._places.drop(self._places.marker(head))
            self._places.drop(self._places.metadata / head.id)

    def head(self, id: str) -> Head | None:
        """Whose tape it is; None: there is none. Raises OSError, and NewerFormat."""
        path = self._places.find(id)
        with suppress(FileNotFoundError):
            return self._head(path) if path is not None else None
        return None

    def _head(self, path: Path) -> Head | None:
        file = self._places.disk.open(path)
        try:
            return head_of(Tail(self._places.disk, file))
        finally:
            self._places.disk.close(file)

    def note(self, path: Path) -> None:
        """Removes a note that has expired, and puts it back if it turns out to be a new one of the same name."""
        places, aside = self._places, self._places.passing()
        try:
            places.disk.rename(path, aside)
        except FileNotFoundError:
            return
        if places.kept_until(aside) > self._now():
            with suppress(FileExistsError):
                places.disk.link(aside, path)
        places.drop(aside)
