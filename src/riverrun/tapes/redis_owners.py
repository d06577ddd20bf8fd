"""Who owns the tapes: a lease per process, and the taking over of what a process left whose lease is gone.

A lease only says whose death may be assumed. What keeps a stale owner from writing is the fence on each tape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from riverrun.failures import Failure
from riverrun.tapes.contract import Head
from riverrun.tapes.records import Begin, Ended, Record, body
from riverrun.tapes.redis_entries import Entry, Id, entries
from riverrun.tapes.redis_link import Link, Timing
from riverrun.tapes.redis_names import ORPHANS, Names
from riverrun.tapes.redis_reader import beginning, stream, unreadable
from riverrun.tapes.redis_reply import Away, Command, Reply, command, texts
from riverrun.tapes.redis_scripts import BURY, CLAIM, RELEASE, RENEW

log = logging.getLogger("riverrun.tapes")

BEATS = 5
"""Renewals in the time of one lease."""
GRACE = 1.5
"""Beats for which a lease must have been gone."""
EAR = 20
"""Leases that an ear outlives its owner."""


class Claimed(NamedTuple):
    """A tape that is ours from the fence on, and all that is on it."""

    head: Head
    fence: Id
    records: list[Record]


class Owners:
    """`me` is this process's name. `lapsed` is called when others thought us dead for a while, `claimed` with each tape
    that was taken over, `ended` gives the
    commands for one that ended and was left in its dead owner's hands."""

    def __init__(
        self,
        link: Link,
        names: Names,
        me: str,
        timing: Timing,
        lapsed: Callable[[], None],
        claimed: Callable[[Claimed], Awaitable[None]],
        ended: Callable[[Head, str], list[Command]],
    ) -> None:
        self._link = link
        self._names = names
        self._me = me
        self._timing = timing
        self._beat = timing.lease / BEATS
        self._lapsed = lapsed
        self._claimed = claimed
        self._ended = ended
        self._unreadable: set[str] = set()
        self._missing: dict[str, float] = {}  # since when their leases are gone, by the loop's clock

    async def renew(self) -> bool:
        """Whether the lease was still there. Raises Away."""
        names = self._names
        lease = round(self._timing.lease * 1000)
        keys = (names.lease(self._me), names.owners, names.ear(self._me))
        return await self._link.ask("EVAL", RENEW, len(keys), *keys, self._me, lease, lease * EAR) == 1

    async def hold(self) -> None:
        """Keeps the lease, until it is cancelled."""
        pause = self._beat
        while True:
            await asyncio.sleep(pause)
            try:
                if not await self.renew():
                    self._lapsed()
                pause = self._beat
            except Away:
                pause = self._beat / 4  # if others think us dead by now, the fence says so

    async def dead(self, owners: set[str]) -> set[str]:
        """Those of them whose lease has been gone for a while. Raises Away.

        After a pause of Redis itself all leases are gone at once: who lives renews it before anybody is thought dead.
        """
        if not owners:
            return set()
        asked = sorted(owners)
        there = await self._link.ask_all([command("EXISTS", self._names.lease(owner)) for owner in asked])
        now = asyncio.get_running_loop().time()
        for owner, known in zip(asked, there, strict=True):
            if known:
                self._missing.pop(owner, None)
            else:
                self._missing.setdefault(owner, now)
        return {owner for owner in asked if self._missing.get(owner, now) <= now - GRACE * self._beat}

    async def release(self) -> None:
        """This process is no more, and what it has is anybody's at once. Raises Away."""
        names = self._names
        keys = (names.lease(self._me), names.owned(self._me), names.owners, names.ear(self._me), names.owned(ORPHANS))
        await self._link.ask("EVAL", RELEASE, len(keys), *keys, self._me)

    async def inherit(self) -> None:
        """Takes over what dead owners left. Raises Away."""
        known = {name.decode() for name in texts(await self._link.ask("SMEMBERS", self._names.owners))}
        for owner in sorted(await self.dead(known - {self._me}) | {ORPHANS}):
            left = [id.decode() for id in texts(await self._link.ask("SMEMBERS", self._names.owned(owner)))]
            for id in left:
                if id not in self._unreadable:
                    await self._take(owner, id)
            if owner != ORPHANS:
                await self._bury(owner)
                self._missing.pop(owner, None)

    async def _bury(self, owner: str) -> None:
        names = self._names
        keys = (names.lease(owner), names.owned(owner), names.owners, names.ear(owner))
        await self._link.ask("EVAL", BURY, len(keys), *keys, owner)

    async def _take(self, owner: str, id: str) -> None:
        try:
            claimed = await self._claim(owner, id)
        except Away:
            raise
        except Failure as failure:
            log.error("a tape can't be taken over: %s", failure.message)
            self._unreadable.add(id)
            return
        if claimed is not None:
            await self._claimed(claimed)

    async def _claim(self, owner: str, id: str) -> Claimed | None:
        key = self._names.tape(id)
        first, top = map(entries, await self._link.ask_all(_ends(key)))
        if not first or not top:
            await self._link.ask("SREM", self._names.owned(owner), id)
            return None
        head = beginning(id, first[0]).head
        if any(isinstance(record, Ended) for record in _records(id, top[0])):
            await self._link.ask_all(self._ended(head, owner))
            return None
        fence = Id(top[0].id.epoch + 1, 0)
        if await self._fence(owner, head, fence) != 1:
            return None
        return Claimed(
            head, fence, [record async for entry in stream(self._link, key) for record in _records(id, entry)]
        )

    async def _fence(self, owner: str, head: Head, fence: Id) -> Reply:
        names = self._names
        begin = body(Begin(head, fence.epoch, self._me))[1]
        keys = (names.tape(head.id), names.lease(owner), names.owned(owner), names.owned(self._me))
        return await self._link.ask("EVAL", CLAIM, len(keys), *keys, head.id, bytes(fence), begin)


def _ends(key: bytes) -> list[Command]:
    return [command("XRANGE", key, "-", "+", "COUNT", 1), command("XREVRANGE", key, "+", "-", "COUNT", 1)]


def _records(id: str, entry: Entry) -> list[Record]:
    try:
        return entry.records()
    except ValueError as error:
        raise unreadable(id, error) from error
