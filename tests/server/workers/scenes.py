"""A server with two workers, as a process of its own, and what the system knows of its processes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from tests.servers import Served, serving
from tests.upstreams import LAST_CHUNK, Play, Upstream, chunk, head, play, sse

PATIENCE = 20.0
KEY, CLIENT_KEY = "canary-key-of-the-upstream", "canary-key-of-the-client"
WORKER = "riverrun.server.workers.worker"


def delta(content: str | None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "q", "choices": [choice]}
    return json.dumps(body).encode()


def answer(text: str) -> Play:
    return play(head(), chunk(sse(delta(text), delta(None, "stop"), b"[DONE]")), LAST_CHUNK)


def held(gate: asyncio.Event) -> Play:
    """ "one ", and the rest once the gate opens."""
    return play(head(), chunk(sse(delta("one "))), gate, chunk(sse(delta("two", "stop"), b"[DONE]")), LAST_CHUNK)


def written(folder: Path, upstream: Upstream, more: str = "") -> Path:
    """A configuration with one model `fast`, put in place at once."""
    fresh = folder / "new.toml"
    fresh.write_text(
        f'[upstream.a]\nbase_url = "{upstream.base_url}"\nkey = "${{GPU_KEY}}"\n'
        f'[[model]]\nname = "fast"\nretries = 0\ntargets = ["a/q"]\n[engine]\nmodels = []\n{more}\n'
    )
    return fresh.rename(folder / "riverrun.toml")


def environ(folder: Path) -> dict[str, str]:
    runtime, passing = folder / "run", folder / "tmp"
    runtime.mkdir(exist_ok=True)
    passing.mkdir(exist_ok=True)
    return {
        "RIVERRUN_MODELS": str(folder / "models"),
        "XDG_RUNTIME_DIR": str(runtime),
        "TMPDIR": str(passing),
        "GPU_KEY": KEY,
        "RIVERRUN_API_KEY": CLIENT_KEY,
        "OPENAI_API_KEY": KEY,
    }


@asynccontextmanager
async def served(folder: Path, upstream: Upstream, more: str = "") -> AsyncIterator[Served]:
    file = written(folder, upstream, more)
    context = serving("--workers", "2", "--config", str(file), environ=environ(folder))
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


def workers(server: Served) -> list[psutil.Process]:
    try:
        children = psutil.Process(server.process.pid).children()
        return [child for child in children if WORKER in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


async def until(true: Callable[[], bool]) -> None:
    """Waits for other processes, which can't be waited on."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.02)


async def logged(server: Served, words: str, times: int = 1) -> None:
    await until(lambda: sum(words in line for line in server.log) >= times)


class Connection:
    """One connection of a client, of which the system knows who serves it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.port = int(writer.get_extra_info("sockname")[1])

    def send(self, path: str, body: object = None) -> None:
        head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "host: localhost"]
        head += [f"authorization: Bearer {CLIENT_KEY}", "content-type: application/json"]
        content = b"" if body is None else json.dumps(body).encode()
        lines = "\r\n".join([*head, f"content-length: {len(content)}", "", ""])
        self._writer.write(lines.encode() + content)

    def ask(self, *, stream: bool = False) -> None:
        messages = [{"role": "user", "content": "hi"}]
        self.send("/v1/chat/completions", {"model": "fast", "stream": stream, "messages": messages})

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readuntil(mark)

    async def whole(self) -> bytes:
        """The body of an answer with a Content-Length."""
        head = (await self.head()).lower()
        return await self.exactly(int(head.partition(b"content-length: ")[2].partition(b"\r")[0]))

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self._reader.readexactly(size)

    async def text(self) -> str:
        """A whole answer's words."""
        message = json.loads(await self.whole())["choices"][0]["message"]
        return str(message["content"])

    async def rest(self) -> bytes:
        """What comes until the server closes; a reset is an end too."""
        heard = b""
        async with asyncio.timeout(PATIENCE):
            try:
                while piece := await self._reader.read(65536):
                    heard += piece
            except ConnectionResetError:
                pass
        return heard

    def owner(self, server: Served) -> int | None:
        """The process of the worker that has the other end."""
        for worker in workers(server):
            ends = [each.raddr.port for each in worker.net_connections() if each.raddr and each.status == "ESTABLISHED"]
            if self.port in ends:
                return worker.pid
        return None

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connections(server: Served, count: int) -> AsyncIterator[list[Connection]]:
    made: list[Connection] = []
    try:
        for _ in range(count):
            made.append(Connection(*await asyncio.open_connection("127.0.0.1", server.port)))
        yield made
    finally:
        for each in made:
            each.close()


@asynccontextmanager
async def on_both(server: Served, each: int = 2) -> AsyncIterator[dict[int, list[Connection]]]:
    """By worker, so many connections that it has accepted: each has asked /health once."""
    found: dict[int, list[Connection]] = {worker.pid: [] for worker in workers(server)}
    assert len(found) == 2
    async with connections(server, 24) as every:
        for one in every:
            one.send("/health")
            await one.whole()
            owner = one.owner(server)
            assert owner is not None
            found[owner].append(one)
        assert all(len(some) >= each for some in found.values()), "one worker got them all"
        yield {pid: some[:each] for pid, some in found.items()}


def left_behind(folder: Path) -> list[Path]:
    """Private folders of the server."""
    return list(folder.glob("*/riverrun-engine-*"))


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
