"""The rows of real engines, killed with SIGKILL in mid-answer: one behind riverrun as its upstream, and riverrun's own.

Each try is compared with the same request uninterrupted. Nothing here is in the suite's fast half.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

import openai
import psutil
from openai.types.chat import ChatCompletionMessageParam

from riverrun.backends.upstream import Upstream
from riverrun.config import EngineConfig
from riverrun.dialects.openai import OpenAI
from riverrun.engine.backend import DEADLINES, Engine, completed
from riverrun.engine.fetch import pull
from riverrun.engine.folder import default_folder
from riverrun.engine.process import Process
from riverrun.engine.settings import ChildSettings, Ready
from riverrun.routing.target import Target
from riverrun.runs.upstreams import Upstreams
from tests.faults.rows import Outcome, Row
from tests.faults.scene import application
from tests.servers import Served, serving

MODEL = "smollm2-135m"
STORY: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Write a very long story about a river."}]
TOKENS = 60
KILLS_A_SERVER = 3
"""A new server after so many kills: the engine's supervisor waits longer after each, up to half a minute."""


class Killed(NamedTuple):
    """One answer that lost its engine after `so_far`. `true` is the uninterrupted one, "" where there is none."""

    so_far: str
    text: str
    finish: str
    error: str
    gap: float
    true: str = ""

    @property
    def whole(self) -> bool:
        return bool(self.finish) and not self.error

    @property
    def wrong_bytes(self) -> int:
        """Bytes that differ from the uninterrupted answer; without one, those of the start that came twice."""
        if self.true:
            pairs = enumerate(zip(self.text, self.true, strict=False))
            at = next((at for at, (one, other) in pairs if one != other), min(len(self.text), len(self.true)))
            return max(len(self.text), len(self.true) if self.whole else 0) - at
        twice = self.text.startswith(self.so_far * 2) or not self.text.startswith(self.so_far)
        return len(self.so_far) if twice else 0

    @property
    def outcome(self) -> Outcome:
        wrong = self.wrong_bytes
        return Outcome(self.whole, bool(self.error), wrong, self.whole and bool(wrong), self.gap)


async def killed(client: openai.AsyncOpenAI, model: str, after: int, kill: Callable[[], object], seed: int) -> Killed:
    """One answer, whose engine dies after so many chunks."""
    pieces: list[str] = []
    so_far = finish = error = ""
    gap, heard = 0.0, time.monotonic()
    try:
        stream = await client.chat.completions.create(
            model=model, messages=STORY, max_tokens=TOKENS, temperature=0.8, seed=seed, stream=True, timeout=120
        )
        async for chunk in stream:
            now = time.monotonic()
            gap, heard = max(gap, now - heard if pieces else 0.0), now
            pieces.append(chunk.choices[0].delta.content or "")
            finish = chunk.choices[0].finish_reason or finish
            if len(pieces) == after:
                so_far = "".join(pieces)
                kill()
    except openai.APIError as failure:
        error = failure.message
    return Killed(so_far, "".join(pieces), finish, error, gap)


@asynccontextmanager
async def behind_another(path: Path) -> AsyncIterator[tuple[openai.AsyncOpenAI, Callable[[], None]]]:
    """riverrun before a llama.cpp server on loopback, its own engine as the fallback; and how to kill the first."""
    async with AsyncExitStack() as stack:
        second = await Process.start(ChildSettings(MODEL, str(path), "", "loopback", context=1024, slots=1, threads=1))
        stack.push_async_callback(second.stop)
        ready = await second.report()
        assert isinstance(ready, Ready), ready
        client = Upstream({"openai": OpenAI()})
        stack.callback(client.close)
        engine = Engine({MODEL: path}, EngineConfig(context=1024, slots=1, threads=1), client)
        stack.push_async_callback(engine.close)
        fallback = await engine.warm(MODEL)
        plain = Target("second", MODEL, "", "llamacpp", deadlines=DEADLINES, n="fan-out")
        upstreams = Upstreams({"engine": engine, "": client})
        url = await stack.enter_async_context(application([completed(plain, ready), fallback], upstreams))
        yield await stack.enter_async_context(_talker(url)), second.kill


@asynccontextmanager
async def _talker(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


async def second_killed(path: Path, after: int, seed: int) -> Killed:
    """The upstream engine dies after so many chunks; riverrun's own goes on with the words so far."""
    async with behind_another(path) as (client, kill):
        return await killed(client, "it", after, kill, seed)


def seconds_killed(tries: int) -> Iterator[Outcome]:
    path = pull(MODEL, default_folder(), lambda done, total: None).path
    random = Random(1)
    for seed in range(tries):
        yield asyncio.run(second_killed(path, random.randint(2, TOKENS - 5), seed)).outcome


def own_killed(tries: int) -> Iterator[Outcome]:
    """riverrun's own engine dies at random moments, at temperature 0.8; it says the same again."""
    random = Random(2)
    moments = [random.randint(1, TOKENS - 2) for _ in range(tries)]
    for start in range(0, tries, KILLS_A_SERVER):
        with serving() as server:
            for one in asyncio.run(_own_killed(server, moments[start : start + KILLS_A_SERVER], start)):
                yield one.outcome


async def _own_killed(server: Served, moments: list[int], first: int) -> list[Killed]:
    every = []
    async with _talker(server.url) as client:
        for seed, after in enumerate(moments, first):
            true = await killed(client, MODEL, 0, lambda: None, seed)
            assert true.finish, true
            one = await killed(client, MODEL, after, lambda: os.kill(engine_of(server).pid, signal.SIGKILL), seed)
            every.append(one._replace(true=true.text))
    return every


def engine_of(server: Served) -> psutil.Process:
    """The process that runs the model."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return next(child for child in children if "riverrun.engine.child" in " ".join(child.cmdline()))


def rows() -> Iterator[Row]:
    yield Row(
        "X7",
        "kill -9 of a llama.cpp upstream; riverrun's own engine takes a prefill",
        10,
        seconds_killed,
        in_suite=0,
        mark="engine",
    )
    yield Row(
        "X7",
        "kill -9 of the embedded engine at temperature 0.8; it says it again",
        50,
        own_killed,
        in_suite=0,
        mark="engine",
    )
