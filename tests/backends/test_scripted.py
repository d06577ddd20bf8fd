"""The scripted backend, on a loop whose clock jumps from timer to timer."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable

import msgspec
import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, Scripted, Step, Wait, steps, text
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Finish, Open, Text, Usage
from riverrun.stream.flow import Cancelled, Finished
from tests.backends.asking import ASK, Ears, target

HI = Say((Text(0, b'"hi"'),))
TO = target("scripted:")


class JumpingSelector(selectors.SelectSelector):
    """Never waits: the time that it was asked to wait has passed at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0
        return super().select(0)


def played(script: Script, meanwhile: Callable[[Ears], None] = lambda ears: None) -> tuple[Ears, float]:
    """What the sink heard, and the seconds that it took."""
    selector = JumpingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]

    async def listen() -> tuple[Ears, float]:
        ears = Ears()
        begun: list[tuple[str, ...]] = []
        call = Scripted(script).start(ASK, TO, ears, lambda target, dropped: begun.append(dropped))
        assert begun == [()]
        assert not ears.pushes
        ears.on_push = lambda: meanwhile(ears)
        loop.call_later(3600, call.cancel)
        await ears.over.wait()
        return ears, loop.time()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(listen())


def test_words_come_at_their_pace_and_end() -> None:
    ears, seconds = played(text("Hello  big world\n", pace=0.5))
    assert ears.text == "Hello  big world\n"
    assert ears.pushes[0] == [Open(0)]
    assert ears.pushes[-1] == [Finish(0, "stop"), Usage(1, 4)]
    assert ears.endings == [Finished()]
    assert seconds == pytest.approx(2.0)


def test_every_choice_says_the_words() -> None:
    said = list(text("a b")(msgspec.structs.replace(ASK, choices=(2, 5))))
    assert said[2] == Say((Text(2, b'"a"'), Text(5, b'"a"')))
    assert said[-2] == Say((Finish(2, "stop"), Finish(5, "stop"), Usage(1, 4)))


@pytest.mark.parametrize("pause", [0.0, 7.0])
def test_a_script_that_just_stops_was_cut(pause: float) -> None:
    ears, seconds = played(steps(HI, Wait(pause)))
    assert ears.text == "hi"
    assert seconds == pytest.approx(pause)
    assert [each.failure.cause for each in ears.endings] == [Cause.UPSTREAM_INTERRUPTED]  # type: ignore[union-attr]


def test_it_fails_as_told_and_plays_no_further() -> None:
    failure = Failure(Cause.UPSTREAM_BUSY, "busy")
    ears, _ = played(steps(HI, Fail(failure), HI, End()))
    assert ears.text == "hi"
    assert [each.failure for each in ears.endings] == [failure]  # type: ignore[union-attr]


@pytest.mark.parametrize("rest", [(Wait(math.inf), End()), (Wait(7200.0), End())])
def test_a_stall_lasts_until_it_is_cancelled(rest: tuple[Step, ...]) -> None:
    ears, seconds = played(steps(HI, *rest))
    assert seconds == pytest.approx(3600)
    assert ears.endings == [Cancelled()]


def test_cancelled_from_within_a_push() -> None:
    async def listen() -> None:
        ears = Ears()
        call = Scripted(steps(HI, HI, End())).start(ASK, TO, ears, lambda target, dropped: None)
        ears.on_push = call.cancel
        await ears.over.wait()
        call.cancel()
        assert ears.text == "hi"
        assert ears.endings == [Cancelled()]

    asyncio.run(listen())


def test_an_empty_push_is_a_sign_of_life() -> None:
    ears, _ = played(steps(Say(), End()))
    assert ears.pushes == [[]]
