"""Idempotency keys as files: of several processes that want one, one gets it.

A key comes into being by link(2), which fails where there is one. It goes only under a lock on the very file that was
judged, so that nobody takes away what somebody else has just made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from riverrun.tapes.contract import Head, Taken
from riverrun.tapes.file_places import LARGEST_SMALL, Places

CRASHED = 5.0
"""Seconds after which a key whose tape is nowhere is free: whoever made it died before it made the tape."""

TRIES = 50
BUSY = 0.002
"""Seconds between tries while another process judges the same key."""


class _Key(msgspec.Struct, frozen=True):
    id: str
    digest: str
    at: float


class Keys:
    def __init__(self, places: Places, now: Callable[[], float]) -> None:
        self._places = places
        self._now = now

    def taken(self, key: str) -> Taken | None:
        """Who has it. Raises OSError."""
        return self._valid(self._places.keys / key)

    def claim(self, head: Head, until: float) -> Taken | None:
        """None: the key is this tape's now. Otherwise who has it. Raises OSError."""
        places, path = self._places, self._places.keys / head.key
        new = places.written(msgspec.json.encode(_Key(head.id, head.digest, self._now())), until)
        try:
            while True:
                try:
                    places.disk.link(new, path)
                    return None
                except FileExistsError:
                    taken = self._valid(path) or self._free(path)
                    if taken is not None:
                        return taken
        finally:
            places.drop(new)

    async def forget(self, key: str, id: str) -> None:
        """The key is free again, if this tape has it. Raises OSError."""
        for _ in range(TRIES):
            if self._take_away(self._places.keys / key, lambda found: found.id == id):
                return
            await asyncio.sleep(BUSY)

    def keep(self, key: str, id: str, until: float) -> None:
        """This tape's key is kept so long. Raises OSError."""
        path = self._places.keys / key
        found = self._read(path)
        if found is not None and found.id == id:
            self._places.disk.stamp(path, until)

    def expire(self, path: Path) -> None:
        """Removes a key whose time has come, if its tape's has. Raises OSError."""
        self._take_away(path, partial(self._stale, path))

    def _valid(self, path: Path) -> Taken | None:
        found = self._read(path)
        return None if found is None or self._stale(path, found) else Taken(found.id, found.digest)

    def _free(self, path: Path) -> Taken | None:
        """Takes a stale key away. Somebody who is doing that right now will have it, as far as we can tell."""
        if self._take_away(path, partial(self._stale, path)):
            return None
        found = self._read(path)
        return Taken(found.id, found.digest) if found is not None else None

    def _stale(self, path: Path, found: _Key) -> bool:
        places, now = self._places, self._now()
        if places.kept_until(path) <= now:
            return places.find(found.id) is None
        if places.find(found.id) is not None or places.kept_until(places.gone / found.id) > now:
            return False
        return abs(now - found.at) > CRASHED

    def _take_away(self, path: Path, judge: Callable[[_Key], bool]) -> bool:
        """Removes it if `judge` says so. Whether that is settled: it went, is gone already, or is to stay; False: it
        could not be judged, because somebody else is at it, or was quicker."""
        disk = self._places.disk
        try:
            file = disk.open(path)
        except FileNotFoundError:
            return True
        try:
            if not disk.lock(file) or disk.look(path).inode != disk.look(file).inode:
                return False
            found = _decoded(disk.read(file, LARGEST_SMALL, 0))
            if judge(found):
                disk.unlink(path)
            return True
        except FileNotFoundError:
            return True
        finally:
            disk.close(file)

    def _read(self, path: Path) -> _Key | None:
        data = self._places.small(path)
        return None if data is None else _decoded(data)


def _decoded(data: bytes) -> _Key:
    """What is no key of ours names no tape and is old."""
    try:
        return msgspec.json.decode(data, type=_Key)
    except msgspec.MsgspecError:
        return _Key(".none", "", 0.0)
