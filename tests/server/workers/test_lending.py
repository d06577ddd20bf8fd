"""Slots that a parent lends to workers: the engine's own queue decides, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from riverrun.engine.host import Status
from riverrun.engine.settings import Ready
from riverrun.engine.slots import Bounds, Permit, Slots
from riverrun.failures import Cause, Failure
from riverrun.server.workers.borrowing import BorrowedHost, Desk
from riverrun.server.workers.lending import Lender
from riverrun.server.workers.messages import Denied, Doubt, GiveBack, Lent, Message, Want
from tests.server.served import PATIENCE

READY = Ready("unix:/e.sock:/v1", None, 1, 256, 100, True, ("text",), "fp_0123456789")


class Model:
    """A model that is always up, with the engine's own queue."""

    def __init__(self, slots: int = 1, queue: int = 8, wait: float = 30.0) -> None:
        self.slots = Slots("m", Bounds(queue, wait))
        self.slots.open(slots)
        self.doubts = 0

    @property
    def status(self) -> Status:
        return Status("m", "ready", None, self.slots.busy, self.slots.capacity, self.slots.waiting, None)

    async def enter_queue(self, caller: str, ask: str) -> tuple[Permit, Ready]:
        return await self.slots.acquire(caller, ask), READY

    def doubt(self) -> None:
        self.doubts += 1

    async def close(self) -> None:
        pass


class Worker:
    """A worker's desk and its lender, with nothing but the loop between them."""

    def __init__(self, model: Model) -> None:
        self.lender = Lender({"m": model}, self.to_worker)
        self.desk = Desk(self.to_parent)
        self.host = BorrowedHost("m", self.desk)

    def to_parent(self, message: Message) -> None:
        assert isinstance(message, Want | GiveBack | Doubt)
        asyncio.get_running_loop().call_soon(self.lender.heard, message)

    def to_worker(self, message: Message) -> None:
        assert isinstance(message, Lent | Denied)
        asyncio.get_running_loop().call_soon(self.desk.heard, message)


async def soon(what: Awaitable[tuple[Permit, Ready]]) -> Permit:
    async with asyncio.timeout(PATIENCE):
        permit, ready = await what
    assert ready == READY
    return permit


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_slot_is_lent_and_given_back() -> None:
    async def scene() -> None:
        model = Model()
        worker = Worker(model)
        permit = await soon(worker.host.enter_queue("a", "1"))
        assert model.slots.busy == 1
        permit.release()
        permit.release()
        await settled()
        assert model.slots.busy == 0
        worker.host.doubt()
        await settled()
        assert model.doubts == 1

    asyncio.run(scene())


def test_callers_take_turns_across_workers() -> None:
    async def scene() -> list[str]:
        model = Model()
        one, other = Worker(model), Worker(model)
        first = await soon(one.host.enter_queue("greedy", "0"))
        order: list[str] = []

        async def ask(worker: Worker, caller: str, name: str) -> None:
            permit = await soon(worker.host.enter_queue(caller, name))
            order.append(name)
            permit.release()

        asks = [asyncio.create_task(ask(one, "greedy", f"greedy {number}")) for number in range(3)]
        await settled()
        asks.append(asyncio.create_task(ask(other, "modest", "modest")))
        await settled()
        first.release()
        await asyncio.gather(*asks)
        return order

    assert asyncio.run(scene()) == ["greedy 0", "modest", "greedy 1", "greedy 2"]


def test_a_full_queue_is_refused_in_the_engines_words() -> None:
    async def scene() -> Failure:
        worker = Worker(Model(queue=1, wait=6.0))
        await soon(worker.host.enter_queue("a", "1"))
        waiting = asyncio.create_task(worker.host.enter_queue("a", "2"))
        await settled()
        with pytest.raises(Failure) as refused:
            await soon(worker.host.enter_queue("a", "3"))
        waiting.cancel()
        await settled()
        return refused.value

    failure = asyncio.run(scene())
    assert (failure.cause, failure.status, failure.retry_after) == (Cause.OVERLOADED, 503, 1.0)
    assert "The model m on this machine is busy" in failure.message


def test_who_is_cancelled_leaves_the_queue_or_gives_the_slot_back() -> None:
    async def scene() -> None:
        model = Model()
        worker = Worker(model)
        held = await soon(worker.host.enter_queue("a", "1"))
        waiting = asyncio.create_task(worker.host.enter_queue("a", "2"))
        await settled()
        assert model.slots.waiting == 1
        waiting.cancel()
        await settled()
        assert model.slots.waiting == 0
        late = asyncio.create_task(worker.host.enter_queue("a", "3"))
        await settled()
        held.release()
        for _ in range(3):  # on its way, in one moment or the other
            await asyncio.sleep(0)
        late.cancel()
        await settled()
        assert (model.slots.busy, model.slots.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_dead_workers_slots_are_free_and_its_answer_need_not_queue_again() -> None:
    async def scene() -> list[str]:
        model = Model()
        dead, other = Worker(model), Worker(model)
        await soon(dead.host.enter_queue("a", "cut"))
        left = asyncio.create_task(dead.host.enter_queue("a", "left"))
        await settled()
        order: list[str] = []

        async def ask(name: str) -> None:
            permit = await soon(other.host.enter_queue(name, name))
            order.append(name)
            permit.release()

        filler = asyncio.create_task(ask("waiting"))
        await settled()
        again = asyncio.create_task(ask("cut"))
        await settled()
        dead.lender.close()
        await asyncio.gather(filler, again)
        assert (model.slots.busy, model.slots.waiting) == (0, 0)
        left.cancel()
        await settled()
        return order

    assert sorted(asyncio.run(scene())) == ["cut", "waiting"]


def test_without_a_parent_nothing_is_lent() -> None:
    async def scene() -> None:
        worker = Worker(Model())
        held = await soon(worker.host.enter_queue("a", "1"))
        waiting = asyncio.create_task(worker.host.enter_queue("a", "2"))
        await settled()
        worker.desk.close()
        for asked in (waiting, worker.host.enter_queue("a", "3")):
            with pytest.raises(Failure, match="shutting down"):
                await asked
        held.release()
        worker.lender.close()
        await settled()

    asyncio.run(scene())


def test_a_model_that_is_not_here_is_unknown() -> None:
    async def scene() -> None:
        worker = Worker(Model())
        with pytest.raises(Failure, match="not on this machine"):
            await worker.desk.borrow("other", "a", "1")

    asyncio.run(scene())
