"""`riverrun serve` with a configuration, in front of upstreams that speak real bytes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

from tests.servers import Served, serving
from tests.upstreams import LAST_CHUNK, Play, Upstream, chunk, head, play, serve, sse, whole

PATIENCE = 20.0
KEY = "canary-key-of-the-upstream"


def delta(content: str | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "q", "choices": [choice]}
    return json.dumps(body).encode()


def answer(text: str) -> Play:
    return play(head(), chunk(sse(delta(text), delta(None, "stop"), b"[DONE]")), LAST_CHUNK)


DOWN = play(whole(b'{"error": {"message": "down"}}', "503 Service Unavailable"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For the configuration, the models (none) and the control socket; its path is short enough for one."""
    return tmp_path


def environ(folder: Path) -> dict[str, str]:
    runtime = folder / "run"
    runtime.mkdir(exist_ok=True)
    return {"RIVERRUN_MODELS": str(folder / "models"), "XDG_RUNTIME_DIR": str(runtime), "GPU_KEY": KEY}


def written(folder: Path, *upstreams: Upstream, more: str = "") -> Path:
    """Upstreams a, b, … with one model `fast` that asks them in this order."""
    names = "abc"[: len(upstreams)]
    sections = [
        f'[upstream.{name}]\nbase_url = "{each.base_url}"\nkey = "${{GPU_KEY}}"'
        for name, each in zip(names, upstreams, strict=True)
    ]
    targets = json.dumps([f"{name}/q" for name in names])
    text = "\n".join(
        [*sections, f'[[model]]\nname = "fast"\naliases = ["quick"]\nretries = 0\ntargets = {targets}', more]
    )
    file = folder / "riverrun.toml"
    fresh = folder / "new.toml"
    fresh.write_text(f"{text}\n[engine]\nmodels = []\n")
    fresh.rename(file)
    return file


@asynccontextmanager
async def served(folder: Path, file: Path) -> AsyncIterator[Served]:
    context = serving("--config", str(file), environ=environ(folder))
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def ask(server: Served, model: str = "fast") -> str | None:
    async with openai.AsyncOpenAI(base_url=server.url, api_key="unused", max_retries=0) as client:
        made = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        return made.choices[0].message.content


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Waits for another process, which can't be waited on."""
    end = time.monotonic() + PATIENCE
    while not await true():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.05)


async def logged(server: Served, words: str) -> None:
    async def said() -> bool:
        return any(words in line for line in server.log)

    await until(said)


async def models(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "riverrun", "models", *arguments]
    more = {**os.environ, **environ(folder), "COLUMNS": "160"}
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=more, cwd=folder)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_names_aliases_and_keys(folder: Path) -> None:
    async def scene() -> None:
        async with serve(answer("hello")) as one:
            file = written(folder, one, more='[[model]]\nname = "a/*"\ntargets = ["a/*"]')
            async with served(folder, file) as server:
                assert await ask(server, "quick") == await ask(server, "a/other") == "hello"
                assert one.requests[0].headers["authorization"] == f"Bearer {KEY}"
                assert [json.loads(each.body)["model"] for each in one.requests] == ["q", "other"]
                async with openai.AsyncOpenAI(base_url=server.url, api_key="unused", max_retries=0) as client:
                    assert [each.id async for each in client.models.list()] == ["fast", "quick"]
                    assert (await client.models.retrieve("a/anything")).id == "a/anything"
                    with pytest.raises(openai.NotFoundError):
                        await client.models.retrieve("nobody")
                assert not any(KEY in line for line in server.log)

    asyncio.run(scene())


def test_a_dead_target_is_followed_by_the_next_and_its_breaker_is_shown(folder: Path) -> None:
    async def scene() -> None:
        both = serve(DOWN), serve(answer("from b"))
        async with both[0] as dead, both[1] as well, served(folder, written(folder, dead, well)) as server:
            for _ in range(6):
                assert await ask(server) == "from b"
            assert len(dead.requests) == 5  # then its breaker is open
            shown = await models(folder)
        first, second = (line.split() for line in shown.splitlines() if "/q" in line)
        assert first == ["fast", "a/q", "down", "(breaker", "open)"]
        assert second == ["b/q", "well"]
        assert KEY not in shown

    asyncio.run(scene())


def test_without_a_server_the_configuration_is_shown(folder: Path) -> None:
    async def scene() -> str:
        async with serve(answer("hello")) as one:
            written(folder, one)
            return await models(folder)

    shown = asyncio.run(scene())
    assert "No server is running" in shown
    assert "a/q" in shown
    assert "smollm2-135m" in shown  # the catalogue


def test_a_changed_file_takes_over_and_a_running_stream_goes_on(folder: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        slow = play(head(), chunk(sse(delta("one "))), gate, chunk(sse(delta("two", "stop"), b"[DONE]")), LAST_CHUNK)
        async with serve(slow) as old, serve(answer("new")) as new, served(folder, written(folder, old)) as server:
            asking = asyncio.create_task(ask(server))
            await old.asked(1)
            written(folder, new)
            await logged(server, "was taken over")
            assert await ask(server) == "new"
            gate.set()
            assert await asking == "one two"
            assert len(old.requests) == 1

    asyncio.run(scene())


def test_a_broken_file_changes_nothing_and_sighup_reads_it_again(folder: Path) -> None:
    async def scene() -> None:
        async with serve(answer("hello")) as one:
            file = written(folder, one)
            async with served(folder, file) as server:
                file.write_text("[upstream.a]\nbase_ulr = 1\n")
                server.process.send_signal(signal.SIGHUP)
                await logged(server, "did you mean `base_url`")
                assert await ask(server) == "hello"
                written(folder, one, more="[server]\nheartbeat = 3")
                server.process.send_signal(signal.SIGHUP)
                await logged(server, "wait for a restart: server.heartbeat")

    asyncio.run(scene())


def test_a_breaker_survives_a_new_configuration(folder: Path) -> None:
    async def scene() -> None:
        both = serve(DOWN), serve(answer("from b"))
        async with both[0] as dead, both[1] as well, served(folder, written(folder, dead, well)) as server:
            for _ in range(5):
                await ask(server)
            written(folder, dead, well, more='[[model]]\nname = "more"\ntargets = ["a/q", "b/q"]')
            await logged(server, "was taken over")
            assert await ask(server, "more") == "from b"
            assert len(dead.requests) == 5

    asyncio.run(scene())


def test_a_configuration_that_cannot_be_used_does_not_start(folder: Path) -> None:
    file = folder / "riverrun.toml"
    file.write_text('[[model]]\nname = "m"\ntargets = ["gpu/x"]\n')
    command = [sys.executable, "-m", "riverrun", "serve", "--port", "0", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ(folder)}, timeout=60)
    assert done.returncode == 1
    assert "no upstream 'gpu'" in done.stderr
    assert "Traceback" not in done.stderr
