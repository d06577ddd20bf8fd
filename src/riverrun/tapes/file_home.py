"""This process's own folder among the live ones: locked as long as we live, so that everybody sees whether we do."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from riverrun.tapes.contract import Head
from riverrun.tapes.file_places import LOCK, Places, full
from riverrun.tapes.file_socket import is_socket
from riverrun.tapes.records import Begin, encoded

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
"""How the file of a new tape is opened."""

TICK = 1e-6
"""Seconds: what two moments differ by, at least, as a file's time has them."""


class Home:
    """`socket` is how others reach us; `now` gives Unix seconds."""

    def __init__(self, places: Places, now: Callable[[], float]) -> None:
        self.socket = ""
        self._now = now
        self._latest = 0.0
        self._places = places
        self._disk = places.disk
        self._lock = -1

    def settle(self, socket: str) -> None:
        """Takes the folder. It gets its name once it is locked: nobody may think that we are dead. Raises OSError."""
        new = self._places.live / f".{self._places.owner}"
        self._disk.folder(new)
        lock = self._disk.open(new / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            if self._disk.append(lock, [os.fsencode(socket)]) != len(os.fsencode(socket)):
                raise full()
            if not self._disk.lock(lock):
                raise OSError(f"{new} belongs to another process")
            self._disk.rename(new, self._places.mine)
        except OSError:
            self._disk.close(lock)
            raise
        self.socket, self._lock = socket, lock

    def leave(self) -> None:
        """What lies in it is for others from now on."""
        if self._lock < 0:
            return
        with suppress(OSError):
            if self._disk.names(self._places.mine) == [LOCK]:
                self._disk.unlink(self._places.mine / LOCK)
                self._disk.remove_folder(self._places.mine)
        self._disk.close(self._lock)
        self._lock = -1

    def begin(self, head: Head) -> tuple[int, int]:
        """A new tape: its file, open at the end, and its size. Raises OSError.

        Nobody knows its id before its beginning is written: one that is cut short there is no tape, and is removed.
        """
        data = encoded(Begin(head, 1, self.socket))
        if head.store:
            self._disk.folder(self._places.marker(head).parent)
            self._disk.close(self._disk.open(self._places.marker(head), os.O_WRONLY | os.O_CREAT))
            self._disk.stamp(self._places.marker(head), self._moment())
        path = self._places.own(head.id)
        file = self._disk.open(path, NEW)
        try:
            if self._disk.append(file, [data]) != len(data):
                raise full()
        except OSError:
            self._disk.close(file)
            with suppress(OSError):
                self._places.drop(path)
            raise
        return file, len(data)

    def _moment(self) -> float:
        """Now; always later than the one before, so that lists are in the order of making."""
        self._latest = max(self._now(), self._latest + TICK)
        return self._latest

    def neighbours(self) -> list[str]:
        """The sockets of all other processes, dead or alive. Raises OSError."""
        data = [self._places.small(folder / LOCK) for folder in self._places.owners()]
        sockets = [os.fsdecode(each) for each in data if each is not None and is_socket(each)]
        return [socket for socket in sockets if socket != self.socket]
