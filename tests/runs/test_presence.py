"""What becomes of an answer that nobody reads, on the virtual clock."""

import asyncio

import pytest

from riverrun.runs.presence import Presence
from riverrun.tapes.contract import Policy
from tests import virtual

NEVER = 10_000.0


class Watched:
    def __init__(self, policy: Policy) -> None:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self.gone: list[float] = []
        self.presence = Presence(policy, 30.0, lambda: self.gone.append(self._loop.time() - self._began))


@pytest.mark.parametrize(("policy", "left", "abandoned"), [("cancel", 0.0, 30.0), ("grace", 30.0, 30.0)])
def test_when_it_is_given_up(policy: Policy, left: float, abandoned: float) -> None:
    async def main() -> None:
        one, two = Watched(policy), Watched(policy)
        one.presence.left()
        two.presence.abandoned()
        await asyncio.sleep(NEVER)
        assert (one.gone, two.gone) == ([left], [abandoned])

    virtual.run(main())


def test_one_that_is_to_finish_is_never_given_up() -> None:
    async def main() -> None:
        watched = Watched("finish")
        watched.presence.left()
        watched.presence.abandoned()
        await asyncio.sleep(NEVER)
        assert watched.gone == []

    virtual.run(main())


def test_a_reader_stops_the_time_and_its_leaving_begins_it_anew() -> None:
    async def main() -> None:
        watched = Watched("grace")
        for _ in range(3):
            watched.presence.left()
            await asyncio.sleep(29.0)
            watched.presence.joined()
            await asyncio.sleep(100.0)
        watched.presence.left()
        await asyncio.sleep(NEVER)
        assert watched.gone == [3 * 129.0 + 30.0]

    virtual.run(main())


def test_an_answer_that_has_ended_leaves_no_timer_behind() -> None:
    async def main() -> None:
        watched = Watched("grace")
        watched.presence.left()
        watched.presence.over()
        watched.presence.abandoned()
        await asyncio.sleep(NEVER)
        assert watched.gone == []

    virtual.run(main())
