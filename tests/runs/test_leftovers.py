"""What a run leaves behind: nothing that only the garbage collector could find."""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from riverrun.backends.scripted import End, Fail, Say, Wait, steps
from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import Attempts
from riverrun.runs.attempt import Attempt
from riverrun.runs.branch import Branch
from riverrun.runs.ear import Ear
from riverrun.runs.presence import Presence
from riverrun.runs.run import Run
from riverrun.runs.watch import Watch
from riverrun.stream.assembler import Assembler
from riverrun.stream.deltas import Finish, Open, Text, Usage
from tests import virtual
from tests.runs.scenes import Scene, target

OURS = {Run, Branch, Attempt, Attempts, Watch, Ear, Presence, Assembler}
TIMES = 5

HI = Say((Open(0, "m"), Text(0, b'"Hi"')))
STOP = Say((Finish(0, "stop"), Usage(1, 1)))
CUT = Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut"))


class Nobody:
    def frames(self, block: bytes, last: int) -> bool:
        return True

    def ended(self, ending: object) -> None:
        pass

    def broke(self, failure: Failure) -> None:
        pass


@contextmanager
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OURS)


def finished() -> Scene:
    return Scene(steps(HI, STOP, End()))


def fanned_out() -> Scene:
    return Scene(lambda ask: [Say((Text(ask.choices[0], b'"x"'), Finish(ask.choices[0], "stop"))), End()], n="fan-out")


def failed() -> Scene:
    return Scene(steps(HI, CUT))


def stalled() -> Scene:
    return Scene(steps(HI))


def replaced() -> Scene:
    return Scene(steps(CUT), (target("other"), steps(HI, STOP, End())))


def left() -> Scene:
    return Scene(steps(HI, Wait(1000.0)))


@pytest.mark.parametrize("scene", [finished, fanned_out, failed, stalled, replaced, left])
def test_what_a_run_was_made_of_is_freed_when_it_ends(scene: Callable[[], Scene]) -> None:
    async def main() -> Counter[str]:
        played = scene()
        for _ in range(TIMES):
            tape = await played.begin(n=2 if scene is fanned_out else 1)
            following = tape.follow(0, Nobody())
            following.more()
            await asyncio.sleep(0.01)
            following.leave()
            await played.runs.idle()
            del tape, following
        await asyncio.sleep(60.0)
        return alive()

    with uncollected():
        assert virtual.run(main()) == Counter()
