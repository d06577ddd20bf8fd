from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.engine.slots import Bounds, Permit, Slots
from riverrun.failures import Cause, Failure

PATIENT = Bounds(queue=64, wait=60.0)
HASTY = Bounds(queue=64, wait=0.05)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def slots(capacity: int, bounds: Bounds = PATIENT) -> Slots:
    made = Slots("m", bounds)
    made.open(capacity)
    return made


async def settle() -> None:
    """Lets every task run as far as it gets."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_no_more_than_the_capacity_run_at_once() -> None:
    async def test() -> None:
        queue = slots(2)
        first, _second = await queue.acquire("a", "1"), await queue.acquire("a", "2")
        third = asyncio.create_task(queue.acquire("a", "3"))
        await settle()
        assert (queue.busy, queue.waiting, third.done()) == (2, 1, False)
        first.release()
        await third
        assert (queue.busy, queue.waiting) == (2, 0)

    run(test)


def test_a_permit_is_given_back_once() -> None:
    async def test() -> None:
        queue = slots(2)
        permit, _other = await queue.acquire("a", "1"), await queue.acquire("a", "2")
        permit.release()
        permit.release()
        assert queue.busy == 1

    run(test)


def test_callers_take_turns_whatever_their_queues() -> None:
    async def test() -> None:
        queue, order = slots(1), list[str]()
        held = await queue.acquire("x", "x")

        async def ask(caller: str, name: str) -> None:
            permit = await queue.acquire(caller, name)
            order.append(name)
            permit.release()

        names = [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")]
        tasks = []
        for caller, name in names:
            tasks.append(asyncio.create_task(ask(caller, name)))
            await settle()
        held.release()
        await asyncio.gather(*tasks)
        assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]

    run(test)


def test_a_full_queue_refuses_the_next_ask_at_once() -> None:
    async def test() -> None:
        queue = slots(1, Bounds(queue=2, wait=60.0))
        held = await queue.acquire("a", "0")
        tasks = [asyncio.create_task(queue.acquire("a", str(n))) for n in (1, 2)]
        await settle()
        with pytest.raises(Failure) as refused:
            await queue.acquire("b", "3")
        assert refused.value.cause is Cause.OVERLOADED
        assert refused.value.status == 503
        assert refused.value.retry_after is not None
        assert "2 requests are waiting" in refused.value.message
        held.release()
        (await tasks[0]).release()
        await tasks[1]

    run(test)


def test_waiting_ends_after_its_time() -> None:
    async def test() -> None:
        queue = slots(1, HASTY)
        await queue.acquire("a", "0")
        with pytest.raises(Failure, match=r"no slot was free within 0\.05 s"):
            await queue.acquire("b", "1")
        assert queue.waiting == 0

    run(test)


def test_a_branch_of_an_ask_that_runs_waits_as_long_as_it_must() -> None:
    async def test() -> None:
        queue = slots(1, Bounds(queue=1, wait=0.02))
        first = await queue.acquire("a", "ask")
        branches = [asyncio.create_task(queue.acquire("a", "ask")) for _ in range(3)]
        with pytest.raises(Failure, match="within"):
            await queue.acquire("b", "other")  # its time is over, so the branches' first one is too
        assert not any(branch.done() for branch in branches)
        first.release()
        for branch in branches:
            (await branch).release()

    run(test)


def test_while_the_model_loads_nobody_is_refused_for_the_time() -> None:
    async def test() -> None:
        queue = slots(0, Bounds(queue=64, wait=0.02))
        queue.patient = True
        waiting = asyncio.create_task(queue.acquire("a", "1"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        queue.patient = False
        with pytest.raises(Failure):
            await waiting

    run(test)


def test_a_model_that_can_not_run_refuses_all_who_wait() -> None:
    async def test() -> None:
        queue, failure = slots(0), Failure(Cause.INTERNAL, "broken")
        tasks = [asyncio.create_task(queue.acquire("a", str(n))) for n in range(3)]
        await settle()
        queue.refuse_all(failure)
        assert await asyncio.gather(*tasks, return_exceptions=True) == [failure] * 3
        assert (queue.busy, queue.waiting) == (0, 0)

    run(test)


def test_who_leaves_while_waiting_takes_no_slot() -> None:
    async def test() -> None:
        queue = slots(1)
        held = await queue.acquire("a", "0")
        leaver, stayer = (asyncio.create_task(queue.acquire(caller, caller)) for caller in "bc")
        await settle()
        leaver.cancel()
        held.release()
        permit = await stayer
        assert (queue.busy, queue.waiting, leaver.cancelled()) == (1, 0, True)
        permit.release()
        assert queue.busy == 0

    run(test)


def test_who_leaves_in_the_moment_of_being_admitted_gives_the_slot_back() -> None:
    async def test() -> None:
        queue = slots(1)
        held = await queue.acquire("a", "0")
        task = asyncio.create_task(queue.acquire("b", "1"))
        await settle()
        held.release()  # grants the slot; the task has not run since
        task.cancel()
        await settle()
        assert task.cancelled()
        assert queue.busy == 0

    run(test)


def test_an_answer_that_was_cut_goes_first_when_it_comes_back_and_is_not_refused() -> None:
    async def test() -> None:
        queue = slots(1, Bounds(queue=1, wait=0.02))
        queue.patient = True
        held = await queue.acquire("b", "cut")
        earlier = asyncio.create_task(queue.acquire("a", "1"))
        await settle()
        queue.open(0)
        held.release(cut=True)
        back = asyncio.create_task(queue.acquire("b", "cut"))  # though the queue is full
        await settle()
        assert queue.waiting == 2
        queue.patient = False
        with pytest.raises(Failure):
            await earlier
        assert not back.done()
        later = asyncio.create_task(queue.acquire("a", "2"))
        await settle()
        queue.open(1)
        (await back).release()
        (await later).release()

    run(test)


def test_the_owner_is_told_when_all_slots_are_free() -> None:
    async def test() -> None:
        told = []
        queue = Slots("m", PATIENT, lambda: told.append("idle"))
        queue.open(2)
        one, two = await queue.acquire("a", "1"), await queue.acquire("a", "2")
        one.release()
        assert told == []
        two.release()
        assert told == ["idle"]

    run(test)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), capacity=st.integers(1, 4))
def test_slots_are_never_lost_or_doubled(seed: int, capacity: int) -> None:
    """Whatever mix of asking, leaving and finishing: at most `capacity` run, and in the end all is free."""

    async def test() -> None:
        dice, queue = random.Random(seed), slots(capacity)
        tasks: list[asyncio.Task[Permit]] = []
        for step in range(40):
            act = dice.random()
            if act < 0.5:
                tasks.append(asyncio.create_task(queue.acquire(dice.choice("abc"), str(dice.choice((step, 0))))))
            elif act < 0.7 and tasks:
                tasks[dice.randrange(len(tasks))].cancel()
            elif done := [task for task in tasks if task.done() and not task.cancelled()]:
                dice.choice(done).result().release()
            if dice.random() < 0.5:
                await settle()
            assert queue.busy <= capacity
        for _ in range(len(tasks) + 1):
            await settle()
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.result().release()
        assert all(task.done() for task in tasks)
        assert (queue.busy, queue.waiting) == (0, 0)

    run(test)
