"""A body on its way in: whole at once or in pieces, too long, cut off, refused, and more than anybody wants yet."""

import asyncio

import pytest

from riverrun.failures import Cause, Failure
from riverrun.server.body import HELD, Incoming
from tests.server.served import PATIENCE


class Tap:
    """The connection behind a body."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def wants_body(self) -> None:
        self.asked.append("wanted")

    def pause_reading(self) -> None:
        self.asked.append("enough")

    def resume_reading(self) -> None:
        self.asked.append("go on")


def incoming() -> tuple[Incoming, Tap]:
    tap = Tap()
    return Incoming(tap), tap


async def waiting(body: Incoming, limit: int) -> asyncio.Task[bytes]:
    task = asyncio.create_task(body.read(limit))
    async with asyncio.timeout(PATIENCE):
        while not body.reading:
            await asyncio.sleep(0)
    return task


def test_one_that_came_with_its_head_needs_no_waiting() -> None:
    body, tap = incoming()
    body.feed(b"all of it")
    body.end()
    with pytest.raises(StopIteration) as over:  # it runs to its end without a loop
        body.read(100).send(None)
    assert over.value.value == b"all of it"
    assert tap.asked == []


def test_a_long_one_that_came_in_one_read_holds_nothing_up() -> None:
    body, tap = incoming()
    body.feed(b"x" * (HELD + 1))
    body.end()
    assert tap.asked == ["enough", "go on"]


def test_pieces_are_waited_for() -> None:
    async def main() -> None:
        body, tap = incoming()
        body.feed(b"one ")
        task = await waiting(body, 100)
        assert tap.asked == ["wanted"]
        body.feed(b"two")
        await asyncio.sleep(0)
        assert not task.done()
        body.end()
        assert await task == b"one two"
        assert not body.reading

    asyncio.run(main())


@pytest.mark.parametrize("late", [True, False])
def test_more_than_the_limit_is_refused_before_it_has_all_come(late: bool) -> None:
    async def main() -> None:
        body, _ = incoming()
        if not late:
            body.feed(b"x" * 11)
        task = asyncio.create_task(body.read(10))
        await asyncio.sleep(0)
        if late:
            body.feed(b"x" * 10)
            body.feed(b"x")
        with pytest.raises(Failure) as caught:
            await task
        assert caught.value.cause is Cause.TOO_LARGE

    asyncio.run(main())


@pytest.mark.parametrize("late", [True, False])
def test_one_whose_client_goes_is_a_failure(late: bool) -> None:
    async def main() -> None:
        body, _ = incoming()
        task = await waiting(body, 10) if late else None
        body.lose()
        with pytest.raises(Failure, match="closed before the request was complete"):
            await (task or body.read(10))

    asyncio.run(main())


def test_who_still_sends_it_is_refused_and_who_has_sent_it_is_not() -> None:
    async def main() -> None:
        refusal = Failure(Cause.OVERLOADED, "no more")
        body, _ = incoming()
        task = await waiting(body, 10)
        body.refuse(refusal)
        with pytest.raises(Failure, match="no more"):
            await task
        whole, _ = incoming()
        whole.feed(b"ab")
        whole.end()
        whole.refuse(refusal)
        assert await whole.read(10) == b"ab"

    asyncio.run(main())


def test_what_nobody_asked_for_is_held_up_to_a_bound_and_then_dropped() -> None:
    body, tap = incoming()
    body.feed(b"x" * HELD)
    assert tap.asked == []
    body.feed(b"x")
    assert tap.asked == ["enough"]
    body.drop()
    body.feed(b"x" * 2 * HELD)
    assert tap.asked == ["enough"]
