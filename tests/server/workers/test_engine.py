"""Two workers, one engine: what a client sees does not tell which of them answers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from riverrun.wire.jsonvalue import JsonObject
from tests.server.workers.scenes import Connection, connections, on_both, until, workers
from tests.servers import Served, serving

pytestmark = pytest.mark.engine

PATH = "/v1/chat/completions"


def question(text: str, **more: object) -> dict[str, object]:
    return {"model": "smollm2-135m", "messages": [{"role": "user", "content": text}], **more}


async def engine(connection: Connection) -> JsonObject:
    """How the model stands, as this connection's worker tells it."""
    connection.send("/health")
    (model,) = json.loads(await connection.whole())["engine"]["models"]
    assert isinstance(model, dict)
    return model


async def alike(both: list[Connection]) -> None:
    seen = set()
    for connection in both:
        connection.send(PATH, question("Tell me a fact.", seed=7, temperature=0.8, max_tokens=16))
        head = await connection.head()
        assert b"x-riverrun-target: smollm2-135m" in head
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        answer = json.loads(await connection.exactly(size))
        seen.add((answer["system_fingerprint"], answer["choices"][0]["message"]["content"]))
    ((fingerprint, _),) = seen
    assert fingerprint.startswith("fp_")


async def refused_alike(both: list[Connection]) -> None:
    for connection in both:
        connection.send(PATH, question("word " * 2000))
        error = json.loads(await connection.whole())["error"]
        assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
        connection.send(PATH, {**question("x"), "model": "nobody"})
        assert json.loads(await connection.whole())["error"]["code"] == "model_not_found"


async def a_dead_worker_frees_its_slot(server: Served, pid: int, one: Connection, other: Connection) -> None:
    one.send(PATH, question("Write a very long story about a river.", stream=True, seed=1))
    await one.until(b"data: ")
    assert (await engine(other))["busy"] == 1
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(20.0):
        while (await engine(other))["busy"] != 0:
            await asyncio.sleep(0.05)
    await until(lambda: len(workers(server)) == 2)


async def an_answer_survives_its_engine(server: Served, one: Connection) -> None:
    one.send(PATH, question("Write a very long story about a river.", stream=True, seed=1, max_tokens=64))
    await one.until(b'"content":"')
    children = psutil.Process(server.process.pid).children()
    next(child for child in children if "riverrun.engine.child" in child.cmdline()).kill()
    assert b"[DONE]" in await one.until(b"0\r\n\r\n")


def test_two_workers_share_one_engine(tmp_path: Path) -> None:
    async def scene() -> None:
        context = serving("--workers", "2", "--context", "512", environ={"XDG_RUNTIME_DIR": str(tmp_path)})
        server = await asyncio.to_thread(context.__enter__)
        try:
            children = psutil.Process(server.process.pid).children(recursive=True)
            assert sum("riverrun.engine.child" in child.cmdline() for child in children) == 1
            async with on_both(server, each=1) as both:
                (pid, (one,)), (_, (other,)) = both.items()
                await alike([one, other])
                await refused_alike([one, other])
                await an_answer_survives_its_engine(server, other)
                await a_dead_worker_frees_its_slot(server, pid, one, other)
            async with connections(server, 1) as (last,):
                await alike([last])
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)

    asyncio.run(scene())
