"""Tapes in files, shared by all processes of one machine that are given the same folder.

They survive the process and not the machine: an append is one write(2), and nothing waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

from riverrun.failures import Cause, Failure
from riverrun.tapes.contract import Adopter, Head, Listener, Taken, Tape
from riverrun.tapes.disk import Disk
from riverrun.tapes.file_adoption import Adoption, Found
from riverrun.tapes.file_copies import Copies
from riverrun.tapes.file_copy import FileCopy, unreadable
from riverrun.tapes.file_home import Home
from riverrun.tapes.file_keys import Keys
from riverrun.tapes.file_owned import Owned
from riverrun.tapes.file_places import Places, digest
from riverrun.tapes.file_shelf import Shelf
from riverrun.tapes.file_socket import Ask, Owner, private_folder, tell
from riverrun.tapes.file_sweep import Sweep
from riverrun.tapes.file_volume import Volume
from riverrun.tapes.order import behind
from riverrun.tapes.own import Own, unwritable
from riverrun.tapes.records import NewerFormat
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

Read = Callable[[str, Path], Awaitable[FileCopy | None]]
"""How a tenant's tape is had from its file, where it is not ours."""


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
        raise Newer(Cause.STORAGE, f"This completion can't be read here: {error}.") from error


class Newer(Failure):
    """A tape of a later riverrun."""


class FileTapes:
    """`root` is the folder; `random` must differ between processes; `now` gives Unix seconds. `largest`: bytes of
    events that one stream may have; `bound`: bytes that all tapes may take on disk; `sockets`: a private folder
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
        self._sweep = Sweep(places, self._keys, retention, now)
        self._volume = Volume(places, bound, self._sweep.expire)
        self._shelf = Shelf(places)
        self._orphaned = asyncio.Event()
        self._home = Home(places, now)
        self._owned = Owned(places, self._keys, room, retention, now, largest, self._volume.grew)
        self._copies = Copies(places, room, self._orphaned.set)
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
        await self._owner.close()  # first: readers elsewhere then look for the next owner, and are told of no break
        self._owned.close()
        await self._copies.close()
        self._home.leave()  # last: whoever gets the lock may be sure that we write no more

    async def create(self, head: Head, listener: Listener) -> Own | Taken:
        if self._room.full:
            self._copies.make_room()
            self._owned.make_room()
        with writing():
            taken = self._keys.taken(head.key) if head.key else None
            if taken is None:
                await self._volume.admit()
                self._room.admit()
                if head.key:
                    until = self._now() + self._retention.of(head) + self._retention.gone
                    taken = self._keys.claim(head, until)
            return taken or await self._create(head, listener)

    async def open(self, tenant: str, id: str) -> Tape | None:
        return await self._open(tenant, id, self._copies.of)

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
        """A later riverrun's tape is known to be the tenant's by its list. Raises Failure 404: it is not in there."""
        try:
            with reading():
                head = self._sweep.head(id)
        except Newer:
            return await self._delete_listed(tenant, id)
        if head is None or head.tenant != tenant:
            return
        with writing():
            await self._remove(id)
            self._sweep.forget(head)
        await self.forget_key(head)

    async def annotate(self, tape: Tape, metadata: Mapping[str, str]) -> None:
        with writing():
            self._shelf.annotate(tape.head.id, metadata, self._now() + self._retention.stored + DAY)
        tape.metadata = dict(metadata)

    async def stored(
        self, tenant: str, *, after: str | None = None, newest_first: bool = False
    ) -> AsyncGenerator[Tape, None]:
        with reading():
            markers = {marker.id: marker for marker in self._shelf.markers(tenant)}
        for id in behind(list(markers), after, newest_first=newest_first):
            marker = markers[id]
            try:
                tape = await self._open(tenant, id, self._copies.glimpse)
            except Newer as newer:
                self._shelf.say(f"{id} is left out of the list of its tenant: {newer.message}")
                continue
            except Failure as failure:
                if failure.cause is not Cause.EXPIRED:
                    raise
                continue
            if tape is not None:
                try:
                    yield tape
                finally:
                    self._copies.done(tape)
            elif marker.created + ORPHANED < self._now():
                with writing():
                    self._places.drop(marker.path)

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
            file, size = self._home.begin(head)
        except OSError:
            with suppress(OSError):
                self._sweep.forget(head)
            await self.forget_key(head)
            raise
        self._volume.grew(size)
        return self._owned.take(head, file, size, listener)

    async def _delete_listed(self, tenant: str, id: str) -> None:
        with reading():
            marker = self._shelf.marker(tenant, id)
        if marker is None:
            raise Failure(Cause.UNKNOWN_ID, f"There is no completion {id!r} here.", param="completion_id")
        with writing():
            await self._remove(id)
            self._places.drop(marker)
            self._places.drop(self._places.metadata / id)

    async def _remove(self, id: str) -> None:
        """A tape goes, wherever it is. Raises OSError."""
        self._drop(id)
        await asyncio.gather(*(tell(socket, Ask(delete=id)) for socket in self._home.neighbours()))
        while (path := self._places.find(id)) is not None:
            self._places.drop(path)

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

    async def _open(self, tenant: str, id: str, copy: Read) -> Tape | None:
        with reading():
            tape = self._owned.live(id) or await self._found(tenant, id, copy)
            if tape is None or tape.head.tenant != tenant:
                return None
            self._refresh(tape)
            return tape

    async def _found(self, tenant: str, id: str, copy: Read) -> Tape | None:
        """A tape of others, or one that has ended. Raises Failure: expired."""
        while (path := self._places.find(id)) is not None and not self._past(path):
            own = self._owned.ended(id)
            if own is not None:
                return own
            with suppress(FileNotFoundError):  # it moved on while we looked
                return await copy(tenant, path)
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
            replaced = self._shelf.metadata(tape.head.id)
            tape.metadata = tape.metadata if replaced is None else replaced

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
            try:
                self._owned.settle_rest()  # soon: until then readers of a stream that broke off come back in vain
                if not adopter.draining:
                    await adoption.look()
                if loop.time() - swept >= SWEEP:
                    swept = loop.time()
                    await self._tidy()
            except Exception:  # whatever it is, the tapes of the dead must not wait for a restart
                log.exception("the tapes in %s could not be looked after; it is tried again", self._places.root)

    async def _tidy(self) -> None:
        try:
            await self._volume.fit(await self._sweep.sweep())
        except OSError as error:
            log.warning("the tapes in %s can't be tidied up now: %s", self._places.root, error)
