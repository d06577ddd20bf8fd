"""Whatever is done to tapes, in any order, by two processes and for two tenants, they are what a simple model says.

V1 to V4 and V7 to V9 of tapes in memory, in files and in Redis: numbers, bytes, owners, keys, tenants, what is left.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from riverrun.failures import Failure
from riverrun.stream.flow import Cancelled, Ending, Finished
from riverrun.tapes.contract import OwnTape, Taken
from tests.redis import RedisServer, needs_redis, redis_server
from tests.tapes.contract import expected
from tests.tapes.reader import Ears, Reader, head
from tests.tapes.shelves import KEPT, Heir, InFiles, InMemory, InRedis, Shelf

T = TypeVar("T")

TENANTS = ("acme", "umbra")
PATIENCE = 30.0
ENDINGS: tuple[Ending, ...] = (Finished(), Cancelled())


class Known:
    """What the model knows of a tape."""

    def __init__(self, number: int, tenant: str, key: str, slot: int, own: OwnTape, ears: Ears) -> None:
        self.id = f"chatcmpl-{number}"
        self.tenant = tenant
        self.key = key
        self.slot = slot
        self.own = own
        self.ears = ears
        self.payloads: list[bytes] = []
        self.ending: Ending | None = None
        self.state = "kept"
        """kept, gone (it has expired, and is known to have been there), or deleted."""


class Place:
    """A reader, and where it began."""

    def __init__(self, reader: Reader, known: Known, slot: int, after: int) -> None:
        self.reader = reader
        self.known = known
        self.slot = slot
        self.after = after

    async def caught_up(self) -> None:
        """V1 to V3: it has what was appended after its place, byte for byte, and the ending."""
        whole = expected(self.known.payloads, self.after)
        if self.known.state == "kept":
            if len(self.known.payloads) > self.after:
                await self.reader.until(len(self.known.payloads))
            if self.known.ending is not None:
                await self.reader.done()
                assert self.reader.endings == [self.known.ending]
        assert self.reader.bytes == whole
        assert len(self.reader.endings) <= 1


class Machine(RuleBasedStateMachine):
    shelf: Callable[[], Shelf]

    def __init__(self) -> None:
        super().__init__()
        self.kinds = type(self).shelf()
        self.runner = asyncio.Runner(loop_factory=self.kinds.loop)
        self.heirs: list[Heir] = []
        self.all: list[Known] = []
        self.places: list[Place] = []
        self.epochs: set[tuple[str, int]] = set()

    @initialize()
    def begin(self) -> None:
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.heirs = [Heir(), Heir()]
        for slot in (0, 1):
            await self.kinds.start(slot, self.heirs[slot])

    # What is done

    @rule(slot=st.integers(0, 1), tenant=st.sampled_from(TENANTS), key=st.sampled_from(("", "one", "two")))
    def create(self, slot: int, tenant: str, key: str) -> None:
        self.runner.run(self._create(slot, tenant, f"{tenant}-{key}".encode().hex().ljust(64, "0") if key else ""))

    @precondition(lambda self: self._live())
    @rule(pick=st.integers(0), count=st.integers(1, 4))
    def append(self, pick: int, count: int) -> None:
        self.runner.run(self._append(_one(self._live(), pick), count))

    @precondition(lambda self: self._live())
    @rule(pick=st.integers(0), ending=st.sampled_from(ENDINGS))
    def end(self, pick: int, ending: Ending) -> None:
        self.runner.run(self._end(_one(self._live(), pick), ending))

    @precondition(lambda self: self.all)
    @rule(pick=st.integers(0), slot=st.integers(0, 1), tenant=st.sampled_from(TENANTS), part=st.floats(0, 1))
    def read(self, pick: int, slot: int, tenant: str, part: float) -> None:
        """From any event on: a resume is a read from where another one ended."""
        self.runner.run(self._read(_one(self.all, pick), slot, tenant, part))

    @precondition(lambda self: self.places)
    @rule(pick=st.integers(0))
    def leave(self, pick: int) -> None:
        place = _one(self.places, pick)
        self.places.remove(place)
        self.runner.run(self.kinds.at(place.slot, _done(place.reader.following.leave)))

    @precondition(lambda self: self._live())
    @rule(pick=st.integers(0), slot=st.integers(0, 1))
    def cancel(self, pick: int, slot: int) -> None:
        self.runner.run(self._cancel(_one(self._live(), pick), slot))

    @precondition(lambda self: self.all)
    @rule(pick=st.integers(0), slot=st.integers(0, 1), tenant=st.sampled_from(TENANTS))
    def delete(self, pick: int, slot: int, tenant: str) -> None:
        self.runner.run(self._delete(_one(self.all, pick), slot, tenant))

    @precondition(lambda self: self.kinds.shared and self.heirs)
    @rule(slot=st.integers(0, 1))
    def kill(self, slot: int) -> None:
        self.runner.run(self._kill(slot))

    @rule()
    def expire(self) -> None:
        self.runner.run(self.kinds.passes(KEPT + 1.0))
        for known in self.all:
            if known.ending is not None and known.state == "kept":
                known.state = "gone"
        self.places = [place for place in self.places if place.known.state == "kept"]

    @invariant()
    def readers_have_it_all(self) -> None:
        self.runner.run(self._caught_up())

    def teardown(self) -> None:
        self.places.clear()
        self.all.clear()
        try:
            left = self.runner.run(self.kinds.close())
        finally:
            self.runner.close()
        assert left == []

    # How

    def _live(self) -> list[Known]:
        return [known for known in self.all if known.ending is None and known.state == "kept"]

    async def _create(self, slot: int, tenant: str, key: str) -> None:
        """V7: a key that is in use names the tape that has it."""
        ears = Ears()
        number = len(self.all)
        made = await self.kinds.at(
            slot,
            self.kinds.tapes[slot].create(head(f"chatcmpl-{number}", tenant=tenant, key=key, digest=tenant), ears),
        )
        holder = [known for known in self.all if key and known.key == key and known.state != "deleted"]
        if holder:
            assert made == Taken(holder[0].id, tenant)
            return
        assert not isinstance(made, Taken)
        self._owned(made)
        assert made.epoch == 1
        self.all.append(Known(number, tenant, key, slot, made, ears))

    def _owned(self, tape: OwnTape) -> None:
        """V4."""
        assert (tape.head.id, tape.epoch) not in self.epochs
        self.epochs.add((tape.head.id, tape.epoch))

    async def _append(self, known: Known, count: int) -> None:
        more = [b'{"of":"%b","n":%d}' % (known.id.encode(), len(known.payloads) + each) for each in range(count)]
        await self.kinds.at(known.slot, _done(known.own.append, more))
        known.payloads += more

    async def _end(self, known: Known, ending: Ending) -> None:
        await self.kinds.at(known.slot, _done(known.own.close, ending, None))
        known.ending = ending
        await self._seen_everywhere(known)

    async def _seen_everywhere(self, known: Known) -> None:
        """Until its ending is where others look for it."""
        for slot in (0, 1):
            async with asyncio.timeout(PATIENCE):
                while True:
                    tape = await self.kinds.at(slot, self.kinds.tapes[slot].open(known.tenant, known.id))
                    assert tape is not None
                    if tape.ending is not None:
                        break
                    await asyncio.sleep(0.01)

    async def _read(self, known: Known, slot: int, tenant: str, part: float) -> None:
        """V8: what is another tenant's, or was deleted, is unknown."""
        opening = self.kinds.tapes[slot].open(tenant, known.id)
        if tenant == known.tenant and known.state == "gone":
            with pytest.raises(Failure) as raised:
                await self.kinds.at(slot, opening)
            assert raised.value.status == 410
            return
        tape = await self.kinds.at(slot, opening)
        if tenant != known.tenant or known.state != "kept":
            assert tape is None
            return
        assert tape is not None
        after = round(part * len(known.payloads))
        reader = Reader()
        await self.kinds.at(slot, _done(reader.on, tape, after))
        self.places.append(Place(reader, known, slot, after))

    async def _cancel(self, known: Known, slot: int) -> None:
        """The owner hears of it, wherever it is."""
        tape = await self.kinds.at(slot, self.kinds.tapes[slot].open(known.tenant, known.id))
        assert tape is not None
        await self.kinds.at(slot, self.kinds.tapes[slot].cancel(tape))
        await known.ears.until("cancel")

    async def _delete(self, known: Known, slot: int, tenant: str) -> None:
        if tenant == known.tenant and known.state == "gone":
            return  # whoever deletes has opened it before
        await self.kinds.at(slot, self.kinds.tapes[slot].delete(tenant, known.id))
        if tenant == known.tenant and known.state == "kept":
            known.state = "deleted"
            for place in self.places:
                if place.known is known:
                    await place.reader.done()
            self.places = [place for place in self.places if place.known is not known]

    async def _kill(self, slot: int) -> None:
        """The other one goes on with what it wrote; then there is a new one in its place."""
        await self._caught_up()
        orphans = [known for known in self._live() if known.slot == slot]
        self.places = [place for place in self.places if place.slot != slot]
        await self.kinds.kill(slot)
        durable = {known.id: known.own.last for known in orphans}
        heir = self.heirs[1 - slot]
        async with asyncio.timeout(PATIENCE):
            while len(heir.adopted) < len(orphans):
                heir.changed.clear()
                await heir.changed.wait()
        adopted = {tape.head.id: tape for tape in heir.adopted}
        assert sorted(adopted) == sorted(known.id for known in orphans)
        heir.adopted.clear()
        for known in orphans:
            own = adopted[known.id]
            self._owned(own)
            assert own.epoch == known.own.epoch + 1
            kept = own.payloads()
            assert kept == known.payloads[: len(kept)]
            assert len(kept) >= durable[known.id]
            known.payloads = kept
            known.own, known.slot, known.ears = own, 1 - slot, heir.ears[known.id]
        self.heirs[slot] = Heir()
        await self.kinds.start(slot, self.heirs[slot])

    async def _caught_up(self) -> None:
        for place in self.places:
            await place.caught_up()


def _one(of: list[T], pick: int) -> T:
    return of[pick % len(of)]


async def _done(what: Callable[..., object], *arguments: object) -> None:
    what(*arguments)


def tried(shelf: Callable[[], Shelf], examples: int, steps: int) -> None:
    class This(Machine):
        pass

    This.shelf = staticmethod(shelf)
    run_state_machine_as_test(
        This,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize="CI" in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_tapes_in_memory() -> None:
    tried(InMemory, 150, 40)


def test_tapes_in_files() -> None:
    tried(InFiles, 60, 30)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@needs_redis
def test_tapes_in_redis(server: RedisServer) -> None:
    tried(partial(InRedis, server), 15, 15)
