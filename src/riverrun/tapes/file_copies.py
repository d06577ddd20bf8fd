"""The tapes of others, and those that have ended, as this process reads them: one copy of each, for all its readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from riverrun.failures import Cause, Failure
from riverrun.tapes.contract import Head, Tape
from riverrun.tapes.expiry import Expiry
from riverrun.tapes.file_copy import FileCopy, copied
from riverrun.tapes.file_journal import Tail
from riverrun.tapes.file_owned import GRACE
from riverrun.tapes.file_places import Places
from riverrun.tapes.retention import deleted, handed_over
from riverrun.tapes.room import Room


class Copies:
    """`orphaned` is called when a tape's owner seems to be dead."""

    def __init__(self, places: Places, room: Room, orphaned: Callable[[], None]) -> None:
        self._places = places
        self._room = room
        self._resting = Expiry(self._let_go)
        self._orphaned = orphaned
        self._copies: dict[str, FileCopy] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def of(self, tenant: str, path: Path) -> FileCopy | None:
        """The tape in this file, with all that is in it now; None: another tenant's.

        Raises FileNotFoundError where it has moved on, other OSErrors, and NewerFormat.
        """
        copy = self._copies.get(path.stem)
        if copy is not None:
            copy.read_on()
        if copy is None or copy.lost is not None:
            read = await self._read(tenant, path)
            copy = self._shared(read, path) if read is not None else None
        if copy is not None:
            self._keep(copy)
        return copy

    async def glimpse(self, tenant: str, path: Path) -> FileCopy | None:
        """As `of`, for whoever says `done` right after: a copy that nobody else has is not kept."""
        copy = self._copies.get(path.stem)
        if copy is None or copy.lost is not None:
            return await self._read(tenant, path)
        copy.read_on()
        return copy

    def done(self, tape: Tape) -> None:
        """What was only glimpsed at goes."""
        if isinstance(tape, FileCopy) and self._copies.get(tape.head.id) is not tape:
            self._free(tape)

    def drop(self, id: str) -> None:
        """It was deleted."""
        copy = self._copies.pop(id, None)
        if copy is not None:
            self._free(copy)
            copy.breaks(deleted())

    def make_room(self) -> None:
        """What nobody reads goes from memory."""
        for copy in list(self._copies.values()):
            if not copy.read:
                del self._copies[copy.head.id]
                self._free(copy)

    async def close(self) -> None:
        self._resting.stop()
        while self._copies:
            copy = self._copies.popitem()[1]
            self._free(copy)
            copy.breaks(handed_over())
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _read(self, tenant: str, path: Path) -> FileCopy | None:
        disk = self._places.disk
        file = disk.open(path)
        tail = Tail(disk, file)
        blocks = self._room.blocks()

        def make(head: Head) -> FileCopy | None:
            if head.tenant != tenant:
                return None
            return FileCopy(head, blocks, disk, file, tail, self._orphaned, self._tasks)

        copy = None
        try:
            copy = await copied(tail, make)
        finally:
            if copy is None:
                self._room.free(blocks)
                with suppress(OSError):
                    disk.close(file)
        return copy

    def _shared(self, copy: FileCopy, path: Path) -> FileCopy:
        """The one that all use: somebody may have read the same file meanwhile."""
        before = self._copies.get(copy.head.id)
        if before is not None and before.lost is None:
            self._free(copy)
            return before
        if before is not None:
            self._free(before)
        if copy.live and path.parent == self._places.ended:
            copy.breaks(damaged(copy.head.id))
        if not copy.live:
            copy.close()
        self._copies[copy.head.id] = copy
        return copy

    def _keep(self, copy: FileCopy) -> None:
        self._resting.after(GRACE, copy)

    def _let_go(self, copy: FileCopy) -> None:
        if self._copies.get(copy.head.id) is not copy:
            return
        if copy.read:
            self._keep(copy)
        else:
            del self._copies[copy.head.id]
            self._free(copy)

    def _free(self, copy: FileCopy) -> None:
        copy.close()
        self._room.free(copy.blocks)


def damaged(id: str) -> Failure:
    """What clients hear of a tape whose ending was lost with the machine."""
    return Failure(Cause.STORAGE, f"The record of {id} is damaged: its ending is missing. Ask again.")
