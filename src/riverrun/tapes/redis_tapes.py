"""Tapes in Redis or Valkey: they survive the loss of this process, and every process that shares them can serve them.

One stream per tape. An owner appends to its own tapes, reads those of others, and takes over those of the dead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import suppress
from random import Random

import msgspec

from riverrun.failures import Failure
from riverrun.tapes.contract import Adopter, Head, Listener, Taken, Tape
from riverrun.tapes.order import behind
from riverrun.tapes.own import Own
from riverrun.tapes.redis_entries import entries
from riverrun.tapes.redis_link import Link, Timing
from riverrun.tapes.redis_names import Names, mark
from riverrun.tapes.redis_ours import Ours, deleting, taken
from riverrun.tapes.redis_owners import Claimed, Owners
from riverrun.tapes.redis_presence import Announcer, Audience, Message, saying
from riverrun.tapes.redis_reader import Elsewhere, Reader, beginning
from riverrun.tapes.redis_reply import Away, Command, command, texts
from riverrun.tapes.redis_scripts import ANNOTATE, FORGET_KEY
from riverrun.tapes.redis_writer import Writer
from riverrun.tapes.retention import Retention, deleted, expired
from riverrun.tapes.room import Room

log = logging.getLogger("riverrun.tapes")

ASKED = 60
"""Seconds for which a wish to cancel waits for a new owner."""
BEAT = 1.0
"""Seconds between two looks at who is dead, at most."""


class RedisTapes:
    """`url`: `redis://[:PASSWORD@]HOST:PORT/DATABASE?prefix=…`, `rediss://…` or `unix:///PATH?…`. `random` names this
    process, `now` tells the Unix time, `largest` is how many bytes of events one stream may have. Raises Failure for a
    URL that can't be used."""

    shared = True

    def __init__(
        self,
        url: str,
        room: Room,
        retention: Retention,
        random: Random,
        now: Callable[[], float],
        largest: int | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.me = me = f"{random.getrandbits(128):032x}"
        self._timing = timing = timing or Timing()
        self._link = link = Link(url, timing.answer)
        self._names = names = Names(link.prefix)
        self._audience = Audience()
        self._adopter: Adopter | None = None
        self._writer = Writer(link, timing.answer, timing.patience)
        self._ours = Ours(link, names, me, self._writer, room, retention, timing, largest, now, self._audience.over)
        self._reader = Reader(link, names, me, room, timing, self._hear, self._changed)
        self._announcer = Announcer(link, names, me, self._reader.owner_of)
        self._owners = Owners(link, names, me, timing, self._lapsed, self._claimed, self._put_away)
        self._tasks: list[asyncio.Task[None]] = []
        self._starting = asyncio.Lock()
        self._unreadable: set[str] = set()  # what was logged of them

    async def create(self, head: Head, listener: Listener) -> Own | Taken:
        await self._started()
        return await self._ours.begin(head, listener)

    async def open(self, tenant: str, id: str) -> Tape | None:
        await self._started()
        tape = await self._find(tenant, id)
        if tape is not None and tape.head.store:
            kept = await self._link.ask("GET", self._names.metadata(id))
            if isinstance(kept, bytes):
                tape.metadata = msgspec.json.decode(kept, type=dict[str, str])
        return tape

    async def cancel(self, tape: Tape) -> None:
        id = tape.head.id
        own = self._ours.get(id)
        if own is not None:
            if own.ending is None:
                own.listener("cancel")
        elif isinstance(tape, Elsewhere) and tape.ending is None:
            wish = command("SET", self._names.cancelled(id), 1, "EX", ASKED)
            await self._link.ask_all([wish, saying(self._names, tape.owner, Message("cancel", id, self.me))])

    async def forget_key(self, head: Head) -> None:
        if head.key:
            keys = (self._names.key(head.key), self._names.owners)
            await self._link.ask("EVAL", FORGET_KEY, 2, *keys, head.id, taken(head), self.me, self._names.prefix)

    async def delete(self, tenant: str, id: str) -> None:
        first = entries(await self._link.ask("XRANGE", self._names.tape(id), "-", "+", "COUNT", 1))
        head = beginning(id, first[0]).head if first else None
        if head is not None and head.tenant == tenant:
            message = Message("deleted", id, self.me)
            await self._link.ask_all([deleting(self._names, head, msgspec.json.encode(message))])
            self._hear(message)

    async def annotate(self, tape: Tape, metadata: Mapping[str, str]) -> None:
        id = tape.head.id
        text = msgspec.json.encode(dict(metadata))
        await self._link.ask("EVAL", ANNOTATE, 2, self._names.tape(id), self._names.metadata(id), text)
        tape.metadata = dict(metadata)

    async def stored(
        self, tenant: str, *, after: str | None = None, newest_first: bool = False
    ) -> AsyncGenerator[Tape, None]:
        await self._started()
        key = self._names.stored(tenant)
        ids = [id.decode() for id in texts(await self._link.ask("ZRANGE", key, 0, -1))]
        for id in behind(ids, after, newest_first=newest_first):
            try:
                tape = await self.open(tenant, id)
            except Away:
                raise
            except Failure:  # expired, or a later riverrun's
                tape = None
            if tape is not None:
                yield tape
            elif await self._link.ask("EXISTS", self._names.tape(id)) == 0:
                await self._link.ask("ZREM", key, id)
            elif id not in self._unreadable:
                self._unreadable.add(id)
                log.warning("the tape %s is left out of its tenant's list: it can't be read here", id)

    async def note(self, name: str, value: bytes, seconds: float) -> None:
        await self._link.ask("SET", self._names.note(name), value, "PX", max(1, round(seconds * 1000)))

    async def noted(self, name: str) -> bytes | None:
        value = await self._link.ask("GET", self._names.note(name))
        return value if isinstance(value, bytes) else None

    async def drop_note(self, name: str) -> bool:
        return await self._link.ask("DEL", self._names.note(name)) == 1

    async def open_for(self, adopter: Adopter) -> None:
        """Raises Failure when Redis can't be reached, or is too old."""
        await self._link.greet()
        self._adopter = adopter
        await self._started()

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._timing.answer):
                await self._writer.flushed()
        except TimeoutError:
            log.warning("Redis is not there: the last words of live streams are not written")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._ours.leave()
        if self._tasks:
            self._tasks.clear()
            with suppress(Away):  # the lease runs out by itself
                await self._owners.release()
        await self._link.close()

    async def _find(self, tenant: str, id: str) -> Own | Elsewhere | None:
        names = self._names
        own = self._ours.get(id)
        if own is not None:
            return own if own.head.tenant == tenant else None
        tape = await self._reader.open(id, tenant)
        if tape is None:
            there, gone = await self._link.ask_all([command("EXISTS", names.tape(id)), command("GET", names.gone(id))])
            if not there and gone == mark(tenant).encode():
                raise expired(id)
        return tape

    async def _started(self) -> None:
        """The lease, and the tasks that live as long as this."""
        if self._tasks:
            return
        async with self._starting:
            if not self._tasks:
                await self._owners.renew()
                runs = (self._writer.run, self._reader.run, self._announcer.run, self._owners.hold, self._tend)
                self._tasks = [_task(run()) for run in runs]

    async def _tend(self) -> None:
        """Everything that is due now and then, until it is cancelled."""
        loop = asyncio.get_running_loop()
        swept = loop.time()
        while True:
            try:
                await self._ours.reconcile()
                for reader in await self._owners.dead(self._audience.readers):
                    self._audience.died(reader)
                if loop.time() - swept > self._timing.sweep:
                    swept = loop.time()
                    await self._ours.refresh()
                    await self._reader.check()
                if self._adopter is not None and not self._adopter.draining:
                    await self._owners.inherit()
            except Away:
                pass  # the next round asks again
            await asyncio.sleep(min(self._timing.lease / 5, BEAT))

    async def _claimed(self, claimed: Claimed) -> None:
        """A dead owner's tape is ours."""
        assert self._adopter is not None
        id = claimed.head.id
        tape = self._ours.restore(claimed)
        tape.listener = self._adopter.adopt(tape)
        self._audience.began(tape)
        if await self._link.ask("DEL", self._names.cancelled(id)) == 1:
            tape.listener("cancel")

    def _put_away(self, head: Head, owner: str) -> list[Command]:
        """The commands for a tape that ended and was left in its dead owner's hands."""
        return [
            command("PEXPIRE", self._names.tape(head.id), self._ours.kept(head)),
            command("SREM", self._names.owned(owner), head.id),
        ]

    def _lapsed(self) -> None:
        """Others thought us dead."""
        self._writer.doubt()
        self._announcer.again()

    def _changed(self, id: str) -> None:
        self._announcer.changed(id)

    def _hear(self, message: Message) -> None:
        own = self._ours.get(message.id)
        match message.say:
            case "joined":
                self._audience.joined(message.id, own, message.by)
            case "left":
                self._audience.left(message.id, message.by)
            case "cancel" if own is not None and own.ending is None:
                own.listener("cancel")
            case "deleted":
                self._ours.drop(message.id, deleted())
                self._reader.drop(message.id, deleted())
            case _:
                pass  # it made us look, that is all


def _task(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    task.add_done_callback(_judge)
    return task


def _judge(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("the tapes in Redis stand still: this is a bug in riverrun", exc_info=error)
