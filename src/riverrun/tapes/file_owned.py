"""The tapes of this process: from their making, or taking over, until their files lie among the ended ones."""

from __future__ import annotations

import logging
from collections.abc import Callable

from riverrun.failures import Failure
from riverrun.stream.flow import Refused
from riverrun.tapes.contract import Head, Listener
from riverrun.tapes.disk import At
from riverrun.tapes.expiry import Expiry
from riverrun.tapes.file_adoption import Found
from riverrun.tapes.file_journal import FileJournal
from riverrun.tapes.file_keys import Keys
from riverrun.tapes.file_places import Places
from riverrun.tapes.own import Own
from riverrun.tapes.retention import Retention, deleted, handed_over
from riverrun.tapes.room import Room

log = logging.getLogger("riverrun.tapes")

GRACE = 10.0
"""Seconds that what nobody reads stays in memory."""


class Owned:
    """`largest`: bytes of events that one stream may have. `grew` is told how many bytes were written to tapes."""

    def __init__(
        self,
        places: Places,
        keys: Keys,
        room: Room,
        retention: Retention,
        now: Callable[[], float],
        largest: int | None,
        grew: Callable[[int], object],
    ) -> None:
        self._places = places
        self._keys = keys
        self._room = room
        self._retention = retention
        self._now = now
        self._largest = largest
        self._resting = Expiry(self._let_go)
        self._grew = grew
        self._tapes: dict[str, Own] = {}
        self._journals: dict[str, FileJournal] = {}  # of those whose files are not among the ended ones yet
        self._unfinished: set[str] = set()  # what was logged of them

    def take(self, head: Head, file: int, size: int, listener: Listener) -> Own:
        """A tape whose file is open, and has `size` bytes."""
        journal = FileJournal(self._places.disk, file, size, self._now, self._grew)
        own = Own(head, self._room.blocks(), journal, listener, self._over, self._largest)
        self._tapes[head.id], self._journals[head.id] = own, journal
        return own

    def restore(self, found: Found) -> Own:
        """A dead owner's tape, with everything that is in its file."""
        own = self.take(found.head, found.file, found.size, lambda signal: None)
        for block, last in found.blocks:
            own.blocks.add(block, last)
        own.restored(found.blocks[-1][1] if found.blocks else 0, found.epoch + 1)
        if found.facts is not None:
            own.began(found.facts)
        return own

    def live(self, id: str) -> Own | None:
        """The tape, while its file is ours."""
        return self._tapes[id] if id in self._journals else None

    def ended(self, id: str) -> Own | None:
        """The tape, while it is still in memory."""
        return self._tapes.get(id)

    def cancel(self, id: str) -> bool:
        """Whether it is ours, and was told."""
        own = self.live(id)
        if own is None or own.ending is not None:
            return False
        own.listener("cancel")
        return True

    def drop(self, id: str) -> None:
        """It was deleted."""
        own, journal = self._tapes.pop(id, None), self._journals.pop(id, None)
        if journal is not None:
            journal.stop()
        if own is not None:
            self._end(own, deleted())

    def make_room(self) -> None:
        """What has ended, and nobody reads, goes from memory."""
        for own in list(self._tapes.values()):
            if own.ending is not None and not own.read:
                self._let_go(own)

    def close(self) -> None:
        """What still runs is left to others; nothing of ours is written from here on."""
        self._resting.stop()
        for journal in self._journals.values():
            journal.stop()
        self._journals.clear()
        while self._tapes:
            self._end(self._tapes.popitem()[1], handed_over())

    def settle(self, file: int, path: At, head: Head) -> None:
        """A tape that has ended goes among the ended ones, and is kept from now on. Raises OSError."""
        until = self._now() + self._retention.of(head)
        disk = self._places.disk
        try:
            disk.stamp(file, until)
            disk.rename(path, self._places.kept(head.id))
        except FileNotFoundError:
            return  # somebody deleted it
        if head.key:
            self._keys.keep(head.key, head.id, until + self._retention.gone)

    def settle_rest(self) -> None:
        """Tries again what failed before."""
        for id in list(self._journals):
            own = self._tapes[id]
            if own.ending is not None or own.lost is not None:
                self._finish(own)

    def _over(self, own: Own) -> None:
        if self._tapes.get(own.head.id) is own:
            self._finish(own)
            self._resting.after(GRACE, own)

    def _finish(self, own: Own) -> None:
        """Its file gets the ending that it could not have before, and its place."""
        id = own.head.id
        journal = self._journals[id]
        try:
            if not journal.ended:
                journal.end(Refused(own.broken or own.lost or handed_over()), None)
            self.settle(journal.file, self._places.own(id), own.head)
        except OSError as error:
            if id not in self._unfinished:
                self._unfinished.add(id)
                log.warning("the tape %s can't be completed now: %s", id, error)
            return
        journal.stop()
        del self._journals[id]
        self._unfinished.discard(id)

    def _let_go(self, own: Own) -> None:
        """It goes from memory when nobody has read it for a while."""
        id = own.head.id
        if self._tapes.get(id) is not own:
            return
        if own.read or id in self._journals:
            self._resting.after(GRACE, own)
        else:
            del self._tapes[id]
            self._room.free(own.blocks)

    def _end(self, own: Own, failure: Failure) -> None:
        self._room.free(own.blocks)
        if own.ending is None:
            own.fail(failure)
        own.breaks(failure)
