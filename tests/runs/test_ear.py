"""What a run does when its tape speaks."""

import asyncio

import pytest

from riverrun.backends.scripted import Wait, steps
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Deadlines
from riverrun.runs.ear import Ear
from riverrun.runs.presence import Presence
from riverrun.runs.run import Run
from riverrun.stream.flow import Cancelled, Refused
from riverrun.tapes.contract import Signal
from tests import virtual
from tests.runs.scenes import Scene

FOREVER = steps(Wait(100_000.0))


async def begun() -> tuple[Scene, Run]:
    scene = Scene(FOREVER, deadlines=Deadlines(None, None, None, None))
    await scene.begin()
    await asyncio.sleep(0)
    return scene, next(iter(scene.runs._runs))


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(
    ("signals", "after"),
    [
        (["cancel"], 0.0),
        (["joined", "left"], 30.0),
        (["joined", "left", "joined"], None),
        (["joined", "left", "joined", "left"], 30.0),
    ],
)
def test_signals_are_heard_also_before_the_run_is_there(
    signals: list[Signal], after: float | None, early: bool
) -> None:
    async def main() -> None:
        scene, run = await begun()
        began = asyncio.get_running_loop().time()
        ear = Ear()
        presence = Presence("grace", 30.0, run.cancel)
        if not early:
            ear.hears(run, presence, None)
        for signal in signals:
            ear(signal)
        if early:
            ear.hears(run, presence, None)
        if after is None:
            await asyncio.sleep(1000.0)
            assert scene.runs.running == 1
            run.cancel()
        await scene.runs.idle()
        assert scene.outcomes[0].ending == Cancelled()
        assert asyncio.get_running_loop().time() - began == (1000.0 if after is None else after)

    virtual.run(main())


def test_a_tape_that_breaks_ends_its_run_with_the_reason() -> None:
    async def main() -> None:
        scene, run = await begun()
        assert run.tape.broken is None
        run.tape.fail(Failure(Cause.STORAGE, "full"))  # type: ignore[attr-defined]  # it is one of memory's
        await scene.runs.idle()
        ending = scene.outcomes[0].ending
        assert isinstance(ending, Refused)
        assert ending.failure.message == "full"

    virtual.run(main())
