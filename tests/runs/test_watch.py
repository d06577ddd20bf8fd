"""Deadlines, on the virtual clock."""

import asyncio

import pytest

from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines
from riverrun.runs.watch import Watch
from tests import virtual

OFF = Deadlines(connect=None, first_token=None, idle=None, total=None)


def hears(watch: Watch, *, content: bool) -> None:
    """A read, which said something or was a sign of life."""
    if content:
        watch.heard()
    else:
        watch.last = asyncio.get_running_loop().time()


async def _expired(deadlines: Deadlines, reads: list[tuple[float, bool]]) -> tuple[float, str]:
    """When (in seconds from the start) and why a watch expires; `reads` are pauses and whether content came."""
    loop = asyncio.get_running_loop()
    expired: asyncio.Future[Failure] = loop.create_future()
    watch = Watch(deadlines, expired.set_result)
    watch.start()
    began = loop.time()
    for pause, content in reads:
        await asyncio.sleep(pause)
        hears(watch, content=content)
    failure = await expired
    assert failure.cause is Cause.UPSTREAM_TIMEOUT
    return loop.time() - began, failure.message


@pytest.mark.parametrize(
    ("deadlines", "reads", "when", "why"),
    [
        (Deadlines(first_token=30.0), [], 30.0, "said nothing within 30 s"),
        (Deadlines(first_token=30.0), [(10.0, False), (19.0, False)], 30.0, "said nothing"),
        (Deadlines(idle=15.0), [(29.0, True)], 44.0, "fell silent for 15 s"),
        (Deadlines(idle=15.0), [(5.0, True), (14.0, False), (14.0, True)], 48.0, "fell silent"),
        (Deadlines(first_token=None, idle=None, total=600.0), [(599.0, True)], 600.0, "did not finish within 600 s"),
        (Deadlines(first_token=50.0, total=40.0), [], 40.0, "did not finish"),
    ],
)
def test_deadlines(deadlines: Deadlines, reads: list[tuple[float, bool]], when: float, why: str) -> None:
    seconds, message = virtual.run(_expired(deadlines, reads))
    assert seconds == pytest.approx(when)
    assert why in message


@pytest.mark.parametrize("content", [False, True])
def test_nothing_expires_when_all_is_off_or_stopped(content: bool) -> None:
    async def main() -> list[Failure]:
        expired: list[Failure] = []
        watches = [Watch(OFF, expired.append), Watch(Deadlines(), expired.append)]
        for watch in watches:
            watch.start()
            hears(watch, content=content)
        watches[1].stop()
        await asyncio.sleep(100_000)
        return expired

    assert virtual.run(main()) == []


def test_a_call_has_one_timer_whatever_it_hears() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        watch = Watch(Deadlines(), lambda failure: None)
        watch.start()
        timers = [len(loop._scheduled)]  # type: ignore[attr-defined]  # the loop's own list of timers
        for _ in range(1000):
            watch.heard()
            await asyncio.sleep(0.1)
        timers.append(len(loop._scheduled))  # type: ignore[attr-defined]  # as above
        watch.stop()
        return timers

    assert virtual.run(main()) == [1, 1]
