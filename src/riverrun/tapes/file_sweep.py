"""What is no longer kept is removed: what has expired, and the first to expire where ended tapes take too much room.

Any number of processes may sweep the same folder at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from riverrun.tapes.contract import Head
from riverrun.tapes.disk import Found
from riverrun.tapes.file_copy import head_of
from riverrun.tapes.file_journal import Tail
from riverrun.tapes.file_keys import Keys
from riverrun.tapes.file_places import Places, digest
from riverrun.tapes.records import NewerFormat
from riverrun.tapes.retention import Retention

STRIDE = 200
"""Files after which the loop gets its turn."""


class Sweep:
    """`room` is how many bytes all ended tapes together may take."""

    def __init__(
        self, places: Places, keys: Keys, retention: Retention, now: Callable[[], float], room: int | None
    ) -> None:
        self._places = places
        self._keys = keys
        self._retention = retention
        self._now = now
        self._room = room

    async def sweep(self) -> None:
        """Raises OSError; what was not done is done the next time."""
        places = self._places
        expired: list[tuple[Path, Callable[[Path], object]]] = [
            (places.ended, self.expire),
            (places.keys, self._keys.expire),
            (places.gone, places.drop),
            (places.metadata, places.drop),
            (places.damaged, places.drop),
            (places.notes, self.note),
        ]
        for folder, remove in expired:
            async for path, found in self._all(folder):
                if found.mtime <= self._now():
                    remove(path)
        if self._room is not None:
            await self._fit(self._room)

    def expire(self, path: Path) -> None:
        """An ended tape is no longer kept; for a while it is known that there was one."""
        try:
            head = self._head(path)
        except (FileNotFoundError, NewerFormat):
            return
        if head is not None:
            with suppress(OSError):  # a full disk: then it is unknown at once
                until = self._now() + self._retention.gone
                self._places.put(self._places.gone / head.id, digest(head.tenant).encode(), until)
            self.forget(head)
        self._places.drop(path)

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

    async def _fit(self, room: int) -> None:
        kept = [(found.mtime, found.size, path) async for path, found in self._all(self._places.ended)]
        total = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if total <= room:
                return
            self.expire(path)
            total -= size

    async def _all(self, folder: Path) -> AsyncIterator[tuple[Path, Found]]:
        """The files of a folder. There may be very many, so others have their turn in between."""
        for number, (name, found) in enumerate(self._places.disk.files(folder), 1):
            yield folder / name, found
            if number % STRIDE == 0:
                await asyncio.sleep(0)
