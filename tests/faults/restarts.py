"""The row X21: two replicas behind nginx, restarted one after the other while clients stream.

nginx.conf beside this file is what somebody would write who runs it so.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import openai

from tests.faults.readers import Heard, replayed, sdk_read
from tests.faults.replicas import needs, played, replica, resuming
from tests.faults.rows import Outcome, Row
from tests.faults.storyteller import Storyteller
from tests.redis import PROGRAM as REDIS
from tests.redis import redis_server
from tests.servers import Served
from tests.upstreams import serve

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
CONFIGURATION = Path(__file__).with_name("nginx.conf")
WORDS, PACE = 60, 0.05
AT_ONCE = 24
START_LIMIT = 10.0


@asynccontextmanager
async def nginx(folder: Path, first: int, second: int) -> AsyncIterator[int]:
    """In front of two servers; its port."""
    assert NGINX is not None
    port = _free_port()
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.read_text("utf-8").format(folder=folder, port=port, first=first, second=second))
    process = await asyncio.create_subprocess_exec(NGINX, "-c", str(file), "-e", str(folder / "error.log"))
    try:
        async with asyncio.timeout(START_LIMIT):
            while not await _listens(port):
                assert process.returncode is None, "nginx did not start"
                await asyncio.sleep(0.02)
        yield port
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


class Replicas:
    """Two of them, each of which can be restarted as an operator would: SIGTERM, wait, start."""

    def __init__(self, stack: AsyncExitStack, folder: Path, upstream: str, tapes: str, drain: float) -> None:
        self._stack = stack
        self._folder = folder
        self._upstream = upstream
        self._tapes = tapes
        self._drain = drain
        self.servers: list[Served] = []

    async def start(self, number: int, port: int = 0) -> Served:
        own = self._folder / str(number)
        return await self._stack.enter_async_context(
            replica(own, self._upstream, self._tapes, port=port, drain=self._drain)
        )

    async def restart(self, number: int) -> None:
        server = self.servers[number]
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait)
        self.servers[number] = await self.start(number, server.port)


async def restarted(n: int, tapes: str, drain: float, resumes: bool) -> AsyncIterator[Outcome]:
    """`n` stories, so many at once, half of them through each replica."""
    needs(NGINX, "nginx is not installed")
    needs(REDIS, "neither redis-server nor valkey-server is installed")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        kept = stack.enter_context(redis_server()).tcp if tapes == "redis" else f"file:{folder}/tapes"
        upstream = await stack.enter_async_context(serve(upstream=Storyteller(PACE)))
        replicas = Replicas(stack, folder, upstream.base_url, kept, drain)
        replicas.servers += [await replicas.start(0), await replicas.start(1)]
        port = await stack.enter_async_context(nginx(folder, *(each.port for each in replicas.servers)))
        url = f"http://127.0.0.1:{port}/v1"
        stock = openai.AsyncOpenAI(base_url=url, api_key="unused")
        client = await stack.enter_async_context(resuming(url) if resumes else stock)
        stories = [Heard(f"t{number}", WORDS) for number in range(n)]
        waiting = iter(stories)

        async def ask(after: float) -> None:
            await asyncio.sleep(after)
            for story in waiting:
                await sdk_read(client, story)

        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(ask(number * WORDS * PACE / AT_ONCE))
            await asyncio.sleep(WORDS * PACE / 2)
            await replicas.restart(0)
            await replicas.restart(1)
        for heard in stories:
            again = await replayed(port, heard)
            yield heard.outcome(again)._replace(broken=_can_be_resumed(heard, again))


def _can_be_resumed(heard: Heard, again: bytes | None) -> str:
    """What is wrong with a story whose client was told an error, for somebody who comes back for it."""
    if heard.done or heard.trouble:
        return "; ".join(heard.trouble)
    return "" if again is not None and again.endswith(b"data: [DONE]\n\n") else f"it can't be resumed: {heard.error}"


def rows() -> Iterator[Row]:
    for tapes in ("file", "redis"):
        for drain, length in ((30.0, "time to drain"), (1.0, "1 s to drain, and longer streams")):
            for client, resumes in (("stock SDK", False), ("stock SDK with riverrun.client()", True)):
                lost = drain == 1.0 and not resumes
                what = f"rolling restart behind nginx, {tapes} tapes, {length}; {client}"
                yield Row("X21", what, 48, _scene(tapes, drain, resumes), lost, in_suite=0)


def _scene(tapes: str, drain: float, resumes: bool) -> Callable[[int], Iterator[Outcome]]:
    return played(lambda n: restarted(n, tapes, drain, resumes))
