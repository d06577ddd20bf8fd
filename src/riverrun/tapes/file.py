"""Tapes in files, shared by all processes of one machine that are given the same folder.

They survive the process and not the machine: an append is one write(2), and nothing waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.tapes.contract import Adopter, Head, Listener, Taken, Tape
from riverrun.tapes.disk import Disk
from riverrun.tapes.expiry import Expiry
from riverrun.tapes.file_adoption import Adoption, Found
from riverrun.tapes.file_copies import Copies
from riverrun.tapes.file_copy import FileCopy, unreadable
from riverrun.tapes.file_home import Home
from riverrun.tapes.file_keys import Keys
from riverrun.tapes.file_owned import Owned
from riverrun.tapes.file_places import Places, digest
from riverrun.tapes.file_socket import Ask, Owner, private_folder, tell
from riverrun.tapes.file_sweep import Sweep
from riverrun.tapes.own import Own, unwritable
from riverrun.tapes.records import Begin, NewerFormat
from riverrun.tapes.retention import Retention, expired
from riverrun.tapes.room import Room

log = logging.getLogger("riverrun.tapes")

LOOK = 1.0
"""Seconds between two looks for dead processes."""

SWEEP = 30.0
"""Seconds between two sweeps."""

TRIES = 10
PAUSE = 0.2
"""Seconds between two tries to reach the owner of a tape that may be changing hands."""

ORPHANED = 60.0
"""Seconds after which an entry of a list without its tape is removed."""

DAY = 24 * 3600.0
"""Seconds, beyond a tape's retention, for what must outlive it: no stream is longer."""


@contextmanager
def writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(error) from error


@contextmanager
def reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unreadable(error) from error
    except NewerFormat as error:
        raise Failure(Cause.STORAGE, f"This completion can't be read here: {error}.") from error


class FileTapes:
    """`root` is the folder; `random` must differ between processes; `now` gives Unix seconds. `largest`: bytes of
    events that one stream may have; `bound`: bytes that all ended tapes may take on disk; `sockets`: a private folder
    with a short path, by default one in $XDG_RUNTIME_DIR or in the temporary folder."""

    shared = True

    def __init__(
        self,
        root: Path,
        room: Room,
        retention: Retention,
        random: Random,
        now: Callable[[], float],
        largest: int | None = None,
        *,
        bound: int | None = None,
        disk: Disk | None = None,
        sockets: Path | None = None,
    ) -> None:
        self._room = room
        self._retention = retention
        self._now = now
        self._sockets = sockets or private_folder()
        self._places = places = Places(root, f"{random.getrandbits(64):016x}", disk or Disk())
        self._keys = Keys(places, now)
        self._sweep = Sweep(places, self._keys, retention, now, bound)
        self._expiry = Expiry()
        self._orphaned = asyncio.Event()
        self._home = Home(places)
        self._owned = Owned(places, self._keys, room, retention, now, largest, self._expiry)
        self._copies = Copies(places, room, self._expiry, self._orphaned.set)
        self._owner = Owner(self._owned.live, {"cancel": self._owned.cancel, "delete": self._drop})
        self._watching: asyncio.Task[None] | None = None

    async def open_for(self, adopter: Adopter) -> None:
        """Raises Failure where the folder can't be used: by its words, `riverrun serve` can't start."""
        try:
            self._places.prepare()
            self._home.settle(await self._owner.open(self._sockets, self._places.owner))
        except (OSError, NewerFormat) as error:
            await self._owner.close()
            raise Failure(Cause.STORAGE, f"The tapes in {self._places.root} can't be used: {error}") from error
        adopt = partial(self._adopt, adopter)
        adoption = Adoption(self._places, self._home.socket, self._owned.settle, adopt, self._gone)
        await adoption.look()
        self._watching = asyncio.get_running_loop().create_task(self._watch(adoption, adopter))

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self._expiry.stop()
        await self._owner.close()  # first: readers elsewhere then look for the next owner, and are told of no break
        self._owned.close()
        await self._copies.close()
        self._home.leave()  # last: whoever gets the lock may be sure that we write no more

    async def create(self, head: Head, listener: Listener) -> Own | Taken:
        if self._room.full:
            self._copies.make_room()
        with writing():
            taken = self._keys.taken(head.key) if head.key else None
            if taken is None:
                self._room.admit()
                until = self._now() + self._retention.of(head) + self._retention.gone
                taken = self._keys.claim(head, until) if head.key else None
            return taken or await self._create(head, listener)

    async def open(self, tenant: str, id: str) -> Tape | None:
        with reading():
            tape = self._owned.live(id) or await self._found(tenant, id)
            if tape is None or tape.head.tenant != tenant:
                return None
            self._refresh(tape)
            return tape

    async def cancel(self, tape: Tape) -> None:
        """Raises Failure where its owner can't be reached for a while."""
        for _ in range(TRIES):
            now = await self.open(tape.head.tenant, tape.head.id)
            if now is None or now.ending is not None or self._owned.cancel(tape.head.id):
                return
            if isinstance(now, FileCopy) and await tell(now.owner, Ask(cancel=tape.head.id)):
                return
            self._orphaned.set()
            await asyncio.sleep(PAUSE)
        raise Failure(Cause.STORAGE, "The process that owns this stream does not answer; try again.", retry_after=5.0)

    async def forget_key(self, head: Head) -> None:
        with writing():
            if head.key:
                await self._keys.forget(head.key, head.id)

    async def delete(self, tenant: str, id: str) -> None:
        with reading():
            head = self._sweep.head(id)
        if head is None or head.tenant != tenant:
            return
        self._drop(id)
        with writing():
            await asyncio.gather(*(tell(socket, Ask(delete=id)) for socket in self._home.neighbours()))
            while (path := self._places.find(id)) is not None:
                self._places.drop(path)
            self._sweep.forget(head)
        await self.forget_key(head)

    async def annotate(self, tape: Tape, metadata: Mapping[str, str]) -> None:
        """Into a file of its own, so that it is the same for tapes that are live somewhere and for ended ones."""
        until = self._now() + self._retention.stored + DAY
        with writing():
            self._places.put(self._places.metadata / tape.head.id, msgspec.json.encode(dict(metadata)), until)

    async def stored(self, tenant: str) -> AsyncIterator[Tape]:
        folder = self._places.stored / digest(tenant)
        with reading():
            names = sorted(self._places.names(folder))
        for name in names:
            created, _, id = name.partition("-")
            try:
                tape = await self.open(tenant, id)
            except Failure as failure:
                if failure.cause is not Cause.EXPIRED:
                    raise
                continue
            if tape is not None:
                yield tape
            elif int(created) + ORPHANED < self._now():
                with writing():
                    self._places.drop(folder / name)

    async def note(self, name: str, value: bytes, seconds: float) -> None:
        with writing():
            self._places.put(self._note(name), value, self._now() + seconds)

    async def noted(self, name: str) -> bytes | None:
        path = self._note(name)
        with reading():
            return self._places.small(path) if self._places.kept_until(path) > self._now() else None

    async def drop_note(self, name: str) -> bool:
        path = self._note(name)
        with writing():
            return self._places.kept_until(path) > self._now() and self._places.drop(path)

    async def _create(self, head: Head, listener: Listener) -> Own:
        try:
            file, size = self._home.begin(Begin(head, 1, self._home.socket))
        except OSError:
            with suppress(OSError):
                self._sweep.forget(head)
            await self.forget_key(head)
            raise
        return self._owned.take(head, file, size, listener)

    def _adopt(self, adopter: Adopter, found: Found) -> None:
        """A dead owner's tape, whose file is ours now."""
        own = self._owned.restore(found)
        self._refresh(own)
        own.listener = adopter.adopt(own)

    def _drop(self, id: str) -> bool:
        """Whoever reads it in this process is told that it was deleted."""
        self._owned.drop(id)
        self._copies.drop(id)
        return True

    async def _found(self, tenant: str, id: str) -> Tape | None:
        """A tape of others, or one that has ended. Raises Failure: expired."""
        while (path := self._places.find(id)) is not None and not self._past(path):
            own = self._owned.ended(id)
            if own is not None:
                return own
            with suppress(FileNotFoundError):  # it moved on while we looked
                return await self._copies.of(tenant, path)
        if self._places.is_gone(tenant, id, self._now()):
            raise expired(id)
        return None

    def _past(self, path: Path) -> bool:
        """Whether an ended tape is no longer kept, though no sweep has come by."""
        past = path.parent == self._places.ended and self._places.kept_until(path) <= self._now()
        if past:
            self._sweep.expire(path)
        return past

    def _refresh(self, tape: Tape) -> None:
        if tape.head.store:
            data = self._places.small(self._places.metadata / tape.head.id)
            tape.metadata = msgspec.json.decode(data, type=dict[str, str]) if data is not None else tape.metadata

    def _note(self, name: str) -> Path:
        return self._places.notes / digest(name)

    def _gone(self) -> float:
        """Until when it is known what was here."""
        return self._now() + self._retention.gone

    async def _watch(self, adoption: Adoption, adopter: Adopter) -> None:
        loop = asyncio.get_running_loop()
        swept = loop.time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._orphaned.wait()
            self._orphaned.clear()
            self._owned.settle_rest()  # soon: until then readers of a stream that broke off come back in vain
            if not adopter.draining:
                await adoption.look()
            if loop.time() - swept >= SWEEP:
                swept = loop.time()
                await self._tidy()

    async def _tidy(self) -> None:
        try:
            await self._sweep.sweep()
        except OSError as error:
            log.warning("the tapes in %s can't be tidied up now: %s", self._places.root, error)
