"""What happens to the tapes of a process that died: whoever gets the lock on its folder takes them, one by one.

A process that was stopped still has its lock, so nobody takes anything from it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from riverrun.tapes.contract import Committed, Head
from riverrun.tapes.file_journal import Tail
from riverrun.tapes.file_places import LOCK, TAPE, Places
from riverrun.tapes.file_socket import LONGEST_PATH, is_socket
from riverrun.tapes.records import Begin, Block, Ended, NewerFormat, Record, encoded

log = logging.getLogger("riverrun.tapes")


class Found(msgspec.Struct):
    """What a dead owner's file holds. `file` is open at its end, `size` that of its whole records."""

    head: Head
    file: int
    size: int
    epoch: int
    blocks: list[tuple[bytes, int]]
    facts: Committed | None = None
    ended: bool = False

    def take(self, record: Record) -> None:
        if isinstance(record, Block):
            self.blocks.append((record.block, record.last))
        elif isinstance(record, Begin):
            self.epoch = record.epoch
        elif isinstance(record, Committed):
            self.facts = record
        elif isinstance(record, Ended):
            self.ended = True


class Adoption:
    """`socket` is how others reach us. `settle` puts an ended tape away, `adopt` goes on with one that has not ended,
    `until` says how long something damaged is kept."""

    def __init__(
        self,
        places: Places,
        socket: str,
        settle: Callable[[int, Path, Head], None],
        adopt: Callable[[Found], None],
        until: Callable[[], float],
    ) -> None:
        self._places = places
        self._socket = socket
        self._settle = settle
        self._adopt = adopt
        self._until = until
        self._known: set[str] = set()  # what was logged already

    async def look(self) -> None:
        """Takes whatever dead owners left. Never raises for what it finds: what fails is tried again the next time."""
        try:
            folders = [folder for folder in self._places.owners() if folder.name != self._places.owner]
        except OSError as error:
            self._say(f"can't look for the tapes of dead processes in {self._places.live}: {error}")
            return
        for folder in folders:
            try:
                await self._judge(folder)
            except OSError as error:
                self._say(f"can't look for the tapes of a dead process in {folder}: {error}")

    async def _judge(self, folder: Path) -> None:
        disk = self._places.disk
        try:
            lock = disk.open(folder / LOCK, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            if disk.lock(lock):
                socket = disk.read(lock, LONGEST_PATH + 1, 0)
                await self._empty(folder)
                self._remove(folder, socket)
        finally:
            disk.close(lock)

    async def _empty(self, folder: Path) -> None:
        for name in sorted(self._places.disk.names(folder)):
            path = folder / name
            try:
                if name.endswith(TAPE):
                    await self._take(path)
                elif name != LOCK:
                    self._places.drop(path)
            except OSError as error:  # the others are not to wait for this one
                self._say(f"{path}, which a dead process left, can't be taken over now: {error}")

    def _remove(self, folder: Path, socket: bytes) -> None:
        """The folder of a dead process, unless something had to stay in it."""
        disk = self._places.disk
        if disk.names(folder) == [LOCK]:
            if is_socket(socket):
                with suppress(OSError):
                    disk.unlink(Path(os.fsdecode(socket)))
            disk.unlink(folder / LOCK)
            disk.remove_folder(folder)

    async def _take(self, path: Path) -> None:
        disk = self._places.disk
        file = disk.open(path, os.O_RDWR | os.O_APPEND)
        tail = Tail(disk, file)
        found = None
        try:
            found = await self._read(tail, file)
            if found is None:
                self._put_away(path, tail)
        except NewerFormat as error:
            self._say(f"the tape {path} is left alone: {error}")
        finally:
            if found is None:
                disk.close(file)
        if found is not None:
            self._go_on(path, found)

    def _put_away(self, path: Path, tail: Tail) -> None:
        """What holds no beginning of a tape."""
        if tail.torn:  # its owner died in the middle of it, or had no room for it: nobody was told of this tape
            self._places.drop(path)
            return
        self._say(f"{path} is no tape; it was moved to {self._places.damaged}")
        self._places.disk.stamp(path, self._until())
        self._places.disk.rename(path, self._places.damaged / path.name)

    async def _read(self, tail: Tail, file: int) -> Found | None:
        found = None
        for records in tail.pieces():
            for record in records:
                if found is None:
                    if not isinstance(record, Begin):
                        return None
                    found = Found(record.head, file, 0, record.epoch, [])
                found.take(record)
            await asyncio.sleep(0)
        if found is not None:
            found.size = tail.good
        return found

    def _go_on(self, path: Path, found: Found) -> None:
        """From here on it is ours. On a disk that is full it stays where it was, as it was."""
        disk = self._places.disk
        try:
            if disk.look(found.file).size > found.size:  # the record that its owner died in
                disk.truncate(found.file, found.size)
            if not found.ended:
                self._begin(path, found)
        except OSError:
            disk.close(found.file)
            raise
        if found.ended:
            try:
                self._settle(found.file, path, found.head)
            finally:
                disk.close(found.file)
        else:
            self._adopt(found)

    def _begin(self, path: Path, found: Found) -> None:
        """The next epoch, in our folder."""
        disk = self._places.disk
        disk.rename(path, self._places.mine / path.name)
        begin = encoded(Begin(found.head, found.epoch + 1, self._socket))
        try:
            if disk.append(found.file, [begin]) != len(begin):
                raise OSError("the disk is full")
        except OSError:
            disk.truncate(found.file, found.size)
            disk.rename(self._places.mine / path.name, path)
            raise
        found.size += len(begin)

    def _say(self, words: str) -> None:
        """Logs it, once."""
        if words not in self._known:
            self._known.add(words)
            log.warning("%s", words)
