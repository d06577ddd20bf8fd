"""Tapes in memory: the contract of all tapes, and their bound."""

import asyncio

import msgspec
import pytest

from riverrun.failures import Failure
from riverrun.stream.flow import Cancelled
from riverrun.tapes import memory
from riverrun.tapes.contract import Taken
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests import virtual
from tests.tapes.contract import KEY, Nobody, Scenario, Setting, TapesContract, own
from tests.tapes.reader import Ears, head


class TestMemory(TapesContract):
    def run(self, scenario: Scenario, retention: Retention | None = None, largest: int | None = None) -> None:
        async def main() -> None:
            tapes = MemoryTapes(Room(1_000_000, 1_000_000), retention or Retention(), largest)
            await tapes.open_for(Nobody())
            await scenario(Setting(tapes, tapes, asyncio.sleep))
            await tapes.close()

        virtual.run(main())


def test_over_its_bound_the_ended_go_first_and_then_nobody_comes_in() -> None:
    async def main() -> None:
        tapes = MemoryTapes(Room(memory=1000, disk=0), Retention())
        live = await own(tapes, "chatcmpl-1")
        live.append([b"x" * 600])
        ended = await own(tapes, "chatcmpl-2", key=KEY)
        ended.append([b"x" * 600])
        ended.close(Cancelled(), None)
        second = await own(tapes, "chatcmpl-3")
        with pytest.raises(Failure) as raised:
            await tapes.open("acme", "chatcmpl-2")
        assert raised.value.status == 410
        assert isinstance(await tapes.create(head("chatcmpl-5", key=KEY), Ears()), Taken)
        second.append([b"x" * 600])
        with pytest.raises(Failure) as raised:
            await own(tapes, "chatcmpl-4")
        assert raised.value.status == 503
        await tapes.close()

    virtual.run(main())


def test_what_was_deleted_is_unknown_and_does_not_expire() -> None:
    async def main() -> None:
        tapes = MemoryTapes(Room(1000, 0), Retention(ended=10.0))
        tape = await own(tapes)
        tape.close(Cancelled(), None)
        await tapes.delete("acme", tape.head.id)
        await asyncio.sleep(11.0)
        assert await tapes.open("acme", tape.head.id) is None
        await tapes.close()

    virtual.run(main())


def test_the_answers_that_ended_first_go_first() -> None:
    async def main() -> None:
        tapes = MemoryTapes(Room(memory=1000, disk=0), Retention())
        made = [await own(tapes, f"chatcmpl-{number}") for number in (1, 2, 3)]
        for tape in made:
            tape.append([b"x" * 400])
        for tape in (made[1], made[0], made[2]):
            tape.close(Cancelled(), None)
        await own(tapes, "chatcmpl-4")
        with pytest.raises(Failure) as raised:
            await tapes.open("acme", "chatcmpl-2")
        assert raised.value.status == 410
        assert await tapes.open("acme", "chatcmpl-1") is made[0]
        assert await tapes.open("acme", "chatcmpl-3") is made[2]
        await tapes.close()

    virtual.run(main())


def test_requests_are_kept_where_they_are_read_again_and_count() -> None:
    async def main() -> None:
        room = Room(memory=10_000, disk=2**20)
        tapes = MemoryTapes(room, Retention())
        request = msgspec.Raw(b'{"model":"tiny","user":"%s"}' % (b"x" * 3000))
        for number in range(10):
            (await own(tapes, f"plain-{number}", request=request)).close(Cancelled(), None)
        assert room.used < 100
        kept = await own(tapes, "kept-0", request=request, store=True)
        assert kept.head.request == request
        assert 3000 < room.used < 4000
        kept.close(Cancelled(), None)
        live = [await own(tapes, f"kept-{number}", request=request, store=True) for number in (1, 2, 3)]
        with pytest.raises(Failure) as raised:  # what has ended made room, once
            await own(tapes, "kept-4", request=request, store=True)
        assert raised.value.status == 503
        with pytest.raises(Failure) as raised:
            await tapes.open("acme", "kept-0")
        assert raised.value.status == 410
        live[0].close(Cancelled(), None)
        await own(tapes, "kept-5", request=request, store=True)
        await tapes.close()
        assert (room.used, room.held) == (0, 0)

    virtual.run(main())


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GONE", 2)

    async def main() -> None:
        tapes = MemoryTapes(Room(10_000, 0), Retention(ended=10.0, keyed=10.0, gone=100.0))
        for number in (1, 2, 3):
            (await own(tapes, f"chatcmpl-{number}", key=str(number) * 64)).close(Cancelled(), None)
            await asyncio.sleep(1.0)
        await asyncio.sleep(10.0)
        assert await tapes.open("acme", "chatcmpl-1") is None
        for number in (2, 3):
            with pytest.raises(Failure) as raised:
                await tapes.open("acme", f"chatcmpl-{number}")
            assert raised.value.status == 410
        assert isinstance(await tapes.create(head("chatcmpl-4", key="3" * 64), Ears()), Taken)
        await own(tapes, "chatcmpl-5", key="1" * 64)  # a key is free when its tape is forgotten
        await asyncio.sleep(100.0)
        assert await tapes.open("acme", "chatcmpl-3") is None
        await own(tapes, "chatcmpl-6", key="3" * 64)
        await tapes.close()

    virtual.run(main())
