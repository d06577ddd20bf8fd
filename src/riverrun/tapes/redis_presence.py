"""What the processes that share Redis tell each other about tapes, and whom an owner knows to read elsewhere.

Each owner has an ear, a short stream that it reads. A message may be lost with its owner: nothing is said that
must stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec

from riverrun.failures import Failure
from riverrun.stream.flow import Ending
from riverrun.tapes.contract import Following
from riverrun.tapes.own import Own
from riverrun.tapes.redis_link import Link
from riverrun.tapes.redis_names import Names
from riverrun.tapes.redis_reply import Away, Command, command

PAUSE = 0.5
"""Seconds after a try to tell that failed."""


EARLY = 1000
"""Readers that are remembered for tapes that we do not have yet."""


class Message(msgspec.Struct, frozen=True):
    """`by` is the process that says it; `look`: that it has something new to read."""

    say: Literal["joined", "left", "cancel", "deleted", "look"]
    id: str = ""
    by: str = ""


class Absent:
    """A follower in another process: it gets nothing here."""

    def frames(self, block: bytes, last: int) -> bool:
        return False

    def ended(self, ending: Ending) -> None:
        """It reads that for itself."""

    def broke(self, failure: Failure) -> None:
        """It hears that for itself."""


class Audience:
    """The readers in other processes of the tapes that are ours."""

    def __init__(self) -> None:
        self._followings: dict[tuple[str, str], Following] = {}
        self._early: dict[tuple[str, str], None] = {}  # who reads what we do not have, or do not have yet

    @property
    def readers(self) -> set[str]:
        """The processes."""
        return {reader for _, reader in self._followings}

    def joined(self, id: str, tape: Own | None, reader: str) -> None:
        """Somebody reads; where the tape is just being taken over, that is remembered until it is ours."""
        if tape is None:
            self._early[id, reader] = None
            if len(self._early) > EARLY:
                del self._early[next(iter(self._early))]
        elif tape.ending is None and (tape.head.id, reader) not in self._followings:
            self._followings[tape.head.id, reader] = tape.follow(tape.last, Absent())

    def began(self, tape: Own) -> None:
        """A tape is ours, and has its listener."""
        for id, reader in list(self._early):
            if id == tape.head.id:
                del self._early[id, reader]
                self.joined(id, tape, reader)

    def left(self, id: str, reader: str) -> None:
        self._early.pop((id, reader), None)
        following = self._followings.pop((id, reader), None)
        if following is not None:
            following.leave()

    def died(self, reader: str) -> None:
        """A process is no more."""
        for id, other in list(self._followings):
            if other == reader:
                self.left(id, reader)

    def over(self, id: str) -> None:
        """A tape is no more."""
        for other, reader in list(self._followings):
            if other == id:
                self.left(id, reader)


class Announcer:
    """Tells the owners elsewhere who is read here. `owner_of` says whom to tell about a tape, "" where nobody reads
    it."""

    def __init__(self, link: Link, names: Names, me: str, owner_of: Callable[[str], str]) -> None:
        self._link = link
        self._names = names
        self._me = me
        self._owner_of = owner_of
        self._told: dict[str, str] = {}  # id to the owner that knows that we read
        self._changed: set[str] = set()
        self._wanted = asyncio.Event()

    def changed(self, id: str) -> None:
        """Somebody came, the last one left, or the owner is another."""
        self._changed.add(id)
        self._wanted.set()

    def again(self) -> None:
        """We were thought dead, and nobody remembers what we told."""
        for id in list(self._told):
            del self._told[id]
            self.changed(id)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            changed, self._changed = self._changed, set()
            now = {id: self._owner_of(id) for id in changed}
            try:
                await self._tell(now)
            except Away:
                self._changed |= changed
                self._wanted.set()
                await asyncio.sleep(PAUSE)

    async def _tell(self, now: dict[str, str]) -> None:
        said: list[Command] = []
        for id, owner in now.items():
            before = self._told.get(id, "")
            if before and before != owner:
                said.append(saying(self._names, before, Message("left", id, self._me)))
            if owner and before != owner:
                said.append(saying(self._names, owner, Message("joined", id, self._me)))
        if said:
            await self._link.ask_all(said)
        for id, owner in now.items():
            if owner:
                self._told[id] = owner
            else:
                self._told.pop(id, None)


def saying(names: Names, owner: str, message: Message) -> list[bytes]:
    """The command that tells an owner something, if it has an ear."""
    text = msgspec.json.encode(message)
    return command("XADD", names.ear(owner), "NOMKSTREAM", "MAXLEN", "~", 1000, "*", "m", text)


def heard(fields: list[bytes]) -> Message | None:
    """A message out of an ear. None: a later riverrun says something that we don't know."""
    try:
        return msgspec.json.decode(fields[1], type=Message)
    except (IndexError, msgspec.MsgspecError):
        return None
