"""The whole engine behind the real upstream client: real model, real sockets, real deaths."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import psutil
import pytest

from riverrun.backends.upstream import Upstream
from riverrun.config import EngineConfig
from riverrun.dialects.openai import OpenAI
from riverrun.engine.backend import Engine
from riverrun.failures import Cause
from riverrun.routing.model import single
from riverrun.routing.target import Target
from riverrun.runs.runs import Grant, Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Text
from riverrun.stream.flow import Call, Cancelled, Ending, Finished, Refused
from riverrun.wire.request import Chat, parse_chat
from tests.runs.ledgers import books
from tests.tapes.kept import in_memory

from .real import get, model_file, run, until

CONFIG = {"context": 1024, "slots": 2, "threads": 1}


def chat(model: str, tokens: int, words: str = "Tell me a long story about a river.") -> Chat:
    messages = [{"role": "user", "content": words}]
    body = {"model": model, "messages": messages, "max_tokens": tokens, "stream": True, "seed": 1}
    return parse_chat(json.dumps(body).encode())


def runs(engine: Engine) -> Runs:
    """What asks the engine in the server: it asks again where nothing was said yet."""
    upstreams = Upstreams({"engine": engine})
    return Runs(lambda name: single(engine.target(name)), upstreams, Random(1), lambda: 1.0, in_memory(), books())


class Heard:
    """A sink, and what it heard."""

    def __init__(self, engine: Engine, model: str, tokens: int, ask: str, caller: str) -> None:
        self.deltas: list[Delta] = []
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.ending: Ending | None = None
        self.targets: list[Target] = []
        self.call: Call = engine.start(
            Ask(chat(model, tokens), ask, 1, caller), engine.target(model), self, self._started
        )

    def _started(self, target: Target, dropped: tuple[str, ...]) -> None:
        self.targets.append(target)

    def push(self, deltas: list[Delta]) -> None:
        assert self.ending is None
        self.deltas += deltas
        if any(isinstance(delta, Text) for delta in deltas):
            self.began.set()

    def end(self, ending: Ending) -> None:
        assert self.ending is None
        self.ending = ending
        self.ended.set()

    async def finished(self) -> Ending:
        await self.ended.wait()
        assert self.ending is not None
        return self.ending


_numbers = iter(range(1_000_000))


def ask(engine: Engine, model: str = "m", tokens: int = 8, caller: str = "me", name: str | None = None) -> Heard:
    return Heard(engine, model, tokens, name or f"ask-{next(_numbers)}", caller)


@contextlib.asynccontextmanager
async def running(models: dict[str, Path] | None = None, **more: object) -> AsyncIterator[Engine]:
    upstream = Upstream({"openai": OpenAI()})
    engine = Engine(models or {"m": model_file()}, EngineConfig(**{**CONFIG, **more}), upstream)  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        await engine.close()
        upstream.close()
        assert all(status.pid is None for status in engine.status())


async def busy_slots(target: Target) -> int:
    """How many slots generate, by the engine's own word."""
    _, slots = await get(target.base_url, "/slots")
    assert isinstance(slots, list)
    return sum(bool(isinstance(slot, dict) and slot["is_processing"]) for slot in slots)


@pytest.mark.engine
def test_the_first_request_wakes_the_model_and_learns_what_it_can_do() -> None:
    async def test() -> None:
        async with running() as engine:
            assert engine.names() == ("m",)
            assert [status.state for status in engine.status()] == ["stopped"]
            heard = ask(engine)
            assert await heard.finished() == Finished()
            assert heard.began.is_set()
            [target] = heard.targets
            assert (target.name, target.row, target.tools) == ("m", "engine", "schema")
            assert (target.context, target.vocabulary, target.modalities) == (1024, 49152, ("text",))
            assert target.fingerprint is not None
            assert target.fingerprint.startswith("fp_")
            [status] = engine.status()
            assert (status.state, status.busy, status.slots, status.waiting) == ("ready", 0, 2, 0)

    run(test)


@pytest.mark.engine
def test_a_cancelled_stream_frees_its_slot_within_a_second() -> None:
    async def test() -> None:
        async with running() as engine:
            heard = ask(engine, tokens=900)
            await heard.began.wait()
            [target] = heard.targets
            assert await busy_slots(target) == 1
            heard.call.cancel()
            heard.call.cancel()
            assert heard.ending == Cancelled()
            assert engine.status()[0].busy == 0
            async with asyncio.timeout(1.0):
                while await busy_slots(target):
                    await asyncio.sleep(0.02)

    run(test)


@pytest.mark.engine
def test_cancelling_works_while_the_model_loads_and_while_all_slots_are_busy() -> None:
    async def test() -> None:
        async with running(slots=1) as engine:
            loading = ask(engine)
            await until(lambda: engine.status()[0].state == "loading")
            loading.call.cancel()
            assert loading.ending == Cancelled()
            first = ask(engine, tokens=900)
            await first.began.wait()
            second = ask(engine)
            await until(lambda: engine.status()[0].waiting == 1)
            second.call.cancel()
            assert second.ending == Cancelled()
            await until(lambda: engine.status()[0].waiting == 0)
            first.call.cancel()
            assert not loading.targets
            assert not second.targets

    run(test)


@pytest.mark.engine
def test_when_the_engine_is_killed_its_streams_end_typed_and_the_next_request_is_answered() -> None:
    async def test() -> None:
        async with running() as engine:
            streams = [ask(engine, tokens=900) for _ in range(2)]
            for stream in streams:
                await stream.began.wait()
            waiting = ask(engine)
            pid = engine.status()[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            for stream in streams:
                ending = await stream.finished()
                assert isinstance(ending, Refused)
                assert ending.failure.cause is Cause.UPSTREAM_INTERRUPTED
                assert "local engine stopped" in ending.failure.message
            at_once = ask(engine)
            assert await waiting.finished() == Finished()
            assert await at_once.finished() == Finished()
            assert engine.status()[0].pid != pid

    run(test)


@pytest.mark.engine
def test_a_run_that_meets_a_dead_engine_waits_for_the_next_one() -> None:
    async def test() -> None:
        async with running() as engine:
            await engine.warm("m")
            pid = engine.status()[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            psutil.Process(pid).wait(10)  # dead by now, and this loop has not seen it yet
            begun = await runs(engine).begin(chat("m", 8), Grant())
            assert begun.outcome is not None
            assert (await begun.outcome).ending == Finished()

    run(test)


@pytest.mark.engine
@pytest.mark.parametrize("slots", [1, 4, 6])
def test_a_kill_before_the_first_words_costs_nobody_the_answer(slots: int) -> None:
    async def test() -> None:
        async with running(slots=slots) as engine:
            await engine.warm("m")
            pid = engine.status()[0].pid
            assert pid is not None
            answering = runs(engine)
            begun = [await answering.begin(chat("m", 8, "river " * 150), Grant()) for _ in range(slots + 1)]
            await until(lambda: engine.status()[0].busy == slots)
            os.kill(pid, signal.SIGKILL)
            for each in begun:
                assert each.outcome is not None
                assert (await each.outcome).ending == Finished()
            assert engine.status()[0].pid != pid

    run(test)


@pytest.mark.engine
def test_requests_wait_for_a_model_whose_process_is_killed_while_it_loads() -> None:
    async def test() -> None:
        async with running() as engine:
            heard = [ask(engine), ask(engine)]
            await until(lambda: engine.status()[0].pid is not None)
            pid = engine.status()[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            assert [await each.finished() for each in heard] == [Finished(), Finished()]

    run(test)


@pytest.mark.engine
def test_two_models_take_turns_in_one_place(tmp_path: Path) -> None:
    shutil.copy(model_file(), tmp_path / "other.gguf")

    async def test() -> None:
        async with running({"a": model_file(), "b": tmp_path / "other.gguf"}) as engine:
            first = ask(engine, "a", tokens=60)
            await first.began.wait()
            pid = engine.status()[0].pid
            second, third = ask(engine, "b"), ask(engine, "a")
            assert await first.finished() == Finished()
            assert await second.finished() == Finished()
            assert pid is not None
            assert not psutil.pid_exists(pid)
            assert await third.finished() == Finished()
            await until(lambda: [status.state for status in engine.status()] == ["ready", "stopped"])

    run(test)


@pytest.mark.engine
def test_two_places_hold_two_models() -> None:
    async def test() -> None:
        async with running({"a": model_file(), "b": model_file()}, resident=2) as engine:
            await asyncio.gather(engine.warm("a"), engine.warm("b"))
            assert [status.state for status in engine.status()] == ["ready", "ready"]

    run(test)


@pytest.mark.engine
def test_an_idle_model_leaves_memory_and_comes_back() -> None:
    async def test() -> None:
        async with running(idle_stop=0.2) as engine:
            assert await ask(engine).finished() == Finished()
            await until(lambda: engine.status()[0].state == "stopped")
            assert await ask(engine).finished() == Finished()

    run(test)


@pytest.mark.engine
def test_closing_ends_what_runs_and_what_waits() -> None:
    async def test() -> None:
        async with running(slots=1) as engine:
            runs = ask(engine, tokens=900)
            await runs.began.wait()
            waits = ask(engine)
            await until(lambda: engine.status()[0].waiting == 1)
        for heard, cause in ((runs, Cause.UPSTREAM_INTERRUPTED), (waits, Cause.OVERLOADED)):
            ending = await heard.finished()
            assert isinstance(ending, Refused)
            assert ending.failure.cause is cause

    run(test)


def test_a_model_that_can_not_run_refuses_all_who_wait_and_then_at_once(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"<html>")

    async def test() -> None:
        async with running({"m": tmp_path / "m.gguf"}) as engine:
            for heard in [ask(engine), ask(engine)]:
                ending = await heard.finished()
                assert isinstance(ending, Refused)
                assert ending.failure.cause is Cause.INTERNAL
                assert "is not a GGUF file" in ending.failure.message
            late = ask(engine)
            await late.finished()
            [status] = engine.status()
            assert status.state == "failed"
            assert status.failure is not None

    run(test)


def test_a_model_that_is_not_here_is_unknown(tmp_path: Path) -> None:
    async def test() -> None:
        async with running({"m": tmp_path / "m.gguf"}) as engine:
            ending = await ask(engine, "other").finished()
            assert isinstance(ending, Refused)
            assert ending.failure.cause is Cause.UNKNOWN_MODEL

    run(test)
