from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from riverrun.engine.settings import ChildSettings, NotReady, Ready
from riverrun.engine.supervisor import MOST_DEATHS, PULSE, Pulse, Supervisor, failure_of
from riverrun.failures import Cause, Failure

from .real import get, run, small, until


class Owner:
    """Notes what it is told."""

    def __init__(self, settings: ChildSettings, pulse: Pulse = PULSE) -> None:
        self.heard: list[str] = []
        self.ready: Ready | None = None
        self.failure: Failure | None = None
        self.supervisor = Supervisor(settings, self, pulse)

    @property
    def state(self) -> str:
        return self.supervisor.state

    def up(self, ready: Ready) -> None:
        self.heard.append("up")
        self.ready = ready

    def down(self) -> None:
        self.heard.append("down")

    def failed(self, failure: Failure) -> None:
        self.heard.append("failed")
        self.failure = failure


@pytest.mark.engine
def test_an_engine_that_is_killed_is_started_again() -> None:
    async def test() -> None:
        owner = Owner(small())
        owner.supervisor.start()
        owner.supervisor.start()
        assert owner.state == "loading"
        await until(lambda: owner.heard == ["up"])
        assert owner.ready is not None
        first, address = owner.supervisor.pid, owner.ready.base_url
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: owner.heard == ["up", "down", "up"])
        second = owner.supervisor.pid
        assert second not in (None, first)
        assert owner.ready.base_url != address
        assert (await get(owner.ready.base_url, "/health"))[0] == 200
        assert not Path(address.split(":")[1]).parent.exists()
        await owner.supervisor.stop()
        assert owner.state == "stopped"
        assert owner.supervisor.pid is None
        assert second is not None
        assert not psutil.pid_exists(second)

    run(test)


@pytest.mark.engine
def test_an_engine_that_no_longer_answers_is_ended_and_started_again() -> None:
    async def test() -> None:
        owner = Owner(small(), Pulse(every=0.1, patience=0.5, misses=2))
        owner.supervisor.start()
        await until(lambda: owner.heard == ["up"])
        assert owner.supervisor.pid is not None
        os.kill(owner.supervisor.pid, signal.SIGSTOP)
        await until(lambda: owner.heard == ["up", "down", "up"])
        await owner.supervisor.stop()

    run(test)


@pytest.mark.engine
def test_stopping_while_it_loads_does_not_wait_for_it() -> None:
    async def test() -> None:
        owner = Owner(small())
        owner.supervisor.start()
        await until(lambda: owner.supervisor.pid is not None)
        pid = owner.supervisor.pid
        await owner.supervisor.stop()
        assert owner.heard == []
        assert pid is not None
        assert not psutil.pid_exists(pid)

    run(test)


@pytest.mark.engine
def test_an_engine_that_is_killed_while_it_loads_is_started_again() -> None:
    async def test() -> None:
        owner = Owner(small())
        owner.supervisor.start()
        await killed(owner, None)
        await until(lambda: bool(owner.heard))
        assert owner.heard == ["up"]
        await owner.supervisor.stop()

    run(test)


def test_three_deaths_in_a_row_while_it_loads_are_told_as_something_that_may_pass(tmp_path: Path) -> None:
    async def test() -> None:
        owner = Owner(small(model=str(tmp_path / "none.gguf")))
        owner.supervisor.start()
        pid = None
        for _ in range(MOST_DEATHS):
            assert owner.heard == []
            pid = await killed(owner, pid)
        await until(lambda: bool(owner.heard))
        assert owner.heard == ["failed"]
        assert owner.failure is not None
        assert owner.failure.cause is Cause.OVERLOADED
        assert owner.failure.retry_after
        assert "signal 9" in owner.failure.message
        assert owner.supervisor.resting
        await owner.supervisor.stop()

    run(test)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no way to stop a process here")
def test_an_engine_that_takes_too_long_to_load_is_ended(tmp_path: Path) -> None:
    async def test() -> None:
        owner = Owner(small(model=str(tmp_path / "none.gguf")), Pulse(loading=0.3))
        owner.supervisor.start()
        seen: set[int] = set()
        while not owner.heard:
            if (pid := owner.supervisor.pid) is not None and pid not in seen:
                os.kill(pid, signal.SIGSTOP)
                seen.add(pid)
            await asyncio.sleep(0.01)
        assert owner.heard == ["failed"]
        assert len(seen) == MOST_DEATHS
        assert owner.failure is not None
        assert owner.failure.cause is Cause.OVERLOADED
        assert not any(psutil.pid_exists(pid) for pid in seen)
        await owner.supervisor.stop()

    run(test)


async def killed(owner: Owner, last: int | None) -> int:
    """Kills the next process, before it is ready, and returns its number."""
    await until(lambda: owner.supervisor.pid not in (None, last))
    pid = owner.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def test_a_model_that_can_not_run_is_not_tried_again_by_itself_and_rests(tmp_path: Path) -> None:
    async def test() -> None:
        owner = Owner(small(model=str(tmp_path / "none.gguf")))
        owner.supervisor.start()
        await until(lambda: owner.heard == ["failed"])
        assert owner.state == "failed"
        assert owner.supervisor.resting
        assert owner.failure is not None
        assert owner.failure.cause is Cause.INTERNAL
        assert "can't be read: No such file" in owner.failure.message
        await owner.supervisor.stop()
        assert owner.state == "failed"
        owner.supervisor.start()
        await until(lambda: owner.heard == ["failed", "failed"])
        await owner.supervisor.stop()

    run(test)


def test_the_pause_doubles_up_to_its_limit(tmp_path: Path) -> None:
    async def test() -> None:
        owner = Owner(small(model=str(tmp_path / "none.gguf")))
        pauses = []
        for _ in range(9):
            owner.supervisor._fail(NotReady("no"))
            pauses.append(round(owner.supervisor._not_before - asyncio.get_running_loop().time(), 1))
        assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

    run(test)


def test_too_little_memory_may_pass_and_anything_else_will_not() -> None:
    short, broken = failure_of("m", NotReady("no room", "resources"), 4.0), failure_of("m", NotReady("bad"), 4.0)
    assert (short.status, short.retry, short.retry_after) == (503, True, 4.0)
    assert (broken.status, broken.retry, broken.retry_after) == (500, False, None)
    assert short.message == "The model m can't run on this machine: no room"
