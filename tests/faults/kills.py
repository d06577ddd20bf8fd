"""The rows X5 and X6: the process that writes a stream is killed, or frozen until another has taken the stream over.

Real server processes, real sockets, real Redis. Half of the readers are plain HTTP clients, half are the stock SDK with
`riverrun.client()`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

import openai

from riverrun.tapes.records import Block, Record
from riverrun.tapes.redis_entries import entries
from riverrun.tapes.redis_link import Link
from tests.faults.engines import TOKENS, Killed
from tests.faults.engines import killed as engine_killed
from tests.faults.readers import SOON, Heard, Reader, Strike, all_replayed, taking_turns, together, until
from tests.faults.replicas import killed, needs, played, replica, resuming
from tests.faults.rows import Outcome, Row
from tests.faults.storyteller import Storyteller
from tests.faults.wire import wire
from tests.redis import PROGRAM, redis_server
from tests.server.workers.scenes import workers
from tests.servers import Served, serving
from tests.upstreams import serve

WORDS = 60
AT_ONCE = 6
"""Streams that run when their owner dies."""
ENGINE = "smollm2-135m"
WORKER = "kill -9 of a worker of two, tapes in files"
SERVER = "kill -9 of a server that is started again, tapes in files"
REPLICA = "kill -9 of one of two servers on a Redis"
GOES_ON = "; the answer goes on by prefill"
CANNOT = "; nobody can go on"


class Place(NamedTuple):
    """Where stories are asked for. `ports` of plain clients; `clear` is one that answers after everything."""

    ports: tuple[int, ...]
    client: openai.AsyncOpenAI
    clear: Callable[[], int]
    server: Served


async def told(place: Place, random: Random, strike: Strike) -> list[Heard]:
    """Some stories at once, struck when the first has come to a random word."""
    names = [f"s{random.getrandbits(40):x}" for _ in range(AT_ONCE)]
    plain = [Reader(name, WORDS, taking_turns(*place.ports)) for name in names[::2]]
    others = [Heard(name, WORDS) for name in names[1::2]]
    return await together(place.client, plain, others, random.randint(1, WORDS - 10), strike)


# A worker of two


async def worker_killed(n: int, prefill: str) -> AsyncIterator[Outcome]:
    random, tried = Random(5), 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        async with serve(upstream=Storyteller()) as upstream:
            arguments = ("--workers", "2")
            tapes = f"file:{folder}/tapes"
            one = replica(folder, upstream.base_url, tapes, prefill=prefill, arguments=arguments)
            async with one as server, resuming(server.url) as client:
                place = Place((server.port,), client, lambda: server.port, server)
                while tried < n:
                    hit, every = await _one_worker(place, random)
                    outcomes = await all_replayed(server.port, every)
                    spared = [out for out, heard in zip(outcomes, every, strict=True) if heard.id not in hit]
                    for out, heard in zip(outcomes, every, strict=True):
                        if heard.id in hit and tried < n:
                            tried += 1
                            hurt = "" if all(each.whole for each in spared) else "another worker's stream broke"
                            yield out._replace(broken=out.broken or hurt)


async def _one_worker(place: Place, random: Random) -> tuple[set[str], list[Heard]]:
    """One round: the ids of the streams whose worker died, and all stories."""
    hit: set[str] = set()

    async def strike(every: list[Heard]) -> None:
        owner, ids = await asyncio.to_thread(owner_of, place.server, every[0].id)
        hit.update(ids)
        os.kill(owner, signal.SIGKILL)

    every = await told(place, random, strike)
    await until(lambda: len(workers(place.server)) == 2)
    return hit, every


def owner_of(server: Served, id: str) -> tuple[int, set[str]]:
    """The worker that has this tape's file open, and the ids of all that it has."""
    for worker in workers(server):
        ids = {Path(file.path).stem for file in worker.open_files() if file.path.endswith(".tape")}
        if id in ids:
            return worker.pid, ids
    raise AssertionError(f"nobody has {id}")


# A server that is started again


async def server_killed(n: int, prefill: str) -> AsyncIterator[Outcome]:
    random, tried = Random(6), 0
    with TemporaryDirectory() as name:
        folder = Path(name)
        tapes = f"file:{folder}/tapes"
        async with AsyncExitStack() as stack, serve(upstream=Storyteller()) as upstream:
            url = upstream.base_url
            server = await stack.enter_async_context(replica(folder, url, tapes, prefill=prefill))
            port = server.port
            client = await stack.enter_async_context(resuming(server.url))
            while tried < n:

                async def strike(every: list[Heard]) -> None:
                    nonlocal server
                    await killed(server)
                    server = await stack.enter_async_context(replica(folder, url, tapes, prefill=prefill, port=port))

                every = await told(Place((port,), client, lambda: port, server), random, strike)
                for outcome in (await all_replayed(port, every))[: n - tried]:
                    tried += 1
                    yield outcome


# Two servers on one Redis


@asynccontextmanager
async def pair(
    folder: Path, prefill: str = "plain"
) -> AsyncIterator[tuple[list[Served], Callable[[int], Awaitable[None]], str]]:
    """Two replicas, how to start one of them again, and the Redis between them."""
    needs(PROGRAM, "neither redis-server nor valkey-server is installed")
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server())
        upstream = await stack.enter_async_context(serve(upstream=Storyteller()))
        servers: list[Served] = []

        async def start(number: int, port: int = 0) -> Served:
            own = folder / str(number)
            context = replica(own, upstream.base_url, redis.tcp, prefill=prefill, port=port)
            return await stack.enter_async_context(context)

        async def again(number: int) -> None:
            servers[number] = await start(number, servers[number].port)

        servers += [await start(0), await start(1)]
        yield servers, again, redis.url


async def replica_killed(n: int, prefill: str) -> AsyncIterator[Outcome]:
    random, tried = Random(7), 0
    with TemporaryDirectory() as name:
        async with pair(Path(name), prefill) as (servers, again, _):
            first, second = servers[0].port, servers[1].port
            async with wire(first, second) as front, resuming(f"http://127.0.0.1:{front.port}/v1") as client:
                while tried < n:
                    place = Place((first, second), client, lambda: second, servers[0])

                    async def strike(every: list[Heard]) -> None:
                        await killed(servers[0])

                    every = await told(place, random, strike)
                    for outcome in (await all_replayed(second, every))[: n - tried]:
                        tried += 1
                        yield outcome
                    await again(0)


# An owner that was frozen


async def owner_frozen(n: int) -> AsyncIterator[Outcome]:
    random, tried = Random(8), 0
    with TemporaryDirectory() as name:
        async with pair(Path(name)) as (servers, _, redis):
            first, second = servers[0].port, servers[1].port
            async with wire(first, second) as front, resuming(f"http://127.0.0.1:{front.port}/v1") as client:
                while tried < n:
                    place = Place((first, second), client, lambda: second, servers[0])

                    async def strike(every: list[Heard]) -> None:
                        pid = servers[0].process.pid
                        os.kill(pid, signal.SIGSTOP)
                        try:
                            await taken_over(redis, [heard.id for heard in every])
                        finally:
                            os.kill(pid, signal.SIGCONT)

                    every = await told(place, random, strike)
                    outcomes = await all_replayed(second, every)
                    for heard, outcome in zip(every, outcomes, strict=True):
                        if tried < n:
                            tried += 1
                            stale = await stale_events(redis, heard)
                            cut = "" if heard.connections != 1 else "its client was not cut off"
                            yield outcome._replace(broken="; ".join(filter(None, (outcome.broken, stale, cut))))


async def kept(redis: str, id: str) -> list[tuple[int, Record]]:
    """What Redis has of a stream, with the epoch in which each record was written."""
    link = Link(redis)
    try:
        found = entries(await link.ask("XRANGE", f"riverrun:tape:{id}", "-", "+"))
    finally:
        await link.close()
    return [(entry.id.epoch, record) for entry in found for record in entry.records()]


async def taken_over(redis: str, ids: list[str]) -> None:
    end = time.monotonic() + SOON
    for id in ids:
        while max(epoch for epoch, _ in await kept(redis, id)) < 2:
            assert time.monotonic() < end, "nobody took it over"
            await asyncio.sleep(0.05)


async def stale_events(redis: str, heard: Heard) -> str:
    """What is wrong with the stream in Redis; "" where every event is there once, in order, by one owner at a time."""
    records = await kept(redis, heard.id)
    epochs = [epoch for epoch, _ in records]
    if epochs != sorted(epochs):
        return f"epochs {epochs}"
    written = b"".join(record.block for _, record in records if isinstance(record, Block))
    if heard.events and written != b"".join(heard.events):
        return "Redis has other bytes than the client"
    numbers = [int(line[4:]) for line in written.split(b"\n") if line.startswith(b"id: ")]
    if numbers != list(range(1, len(numbers) + 1)):
        return f"events {numbers}"
    return "" if epochs[-1] > 1 else "it was never taken over"


# A worker, while riverrun's own engine answers


def speaking_worker_killed(n: int) -> Iterator[Outcome]:
    """The engine belongs to no worker: it says the same again for the one that is left."""
    random = Random(9)
    with serving("--workers", "2") as server:
        for one in asyncio.run(_speaking_workers(server, [random.randint(1, TOKENS - 2) for _ in range(n)])):
            yield one.outcome


async def _speaking_workers(server: Served, moments: list[int]) -> list[Killed]:
    every = []
    async with resuming(server.url) as client:
        for seed, after in enumerate(moments):
            true = await engine_killed(client, ENGINE, 0, lambda: None, seed)
            one = await engine_killed(client, ENGINE, after, lambda: _kill_writer(server), seed)
            every.append(one._replace(true=true.text))
            await until(lambda: len(workers(server)) == 2)
    return every


def _kill_writer(server: Served) -> None:
    """The worker that writes the one stream that there is."""
    writers = [each for each in workers(server) if any(file.path.endswith(".tape") for file in each.open_files())]
    os.kill(writers[0].pid, signal.SIGKILL)


def rows() -> Iterator[Row]:
    yield Row("X5", WORKER + GOES_ON, 24, _with(worker_killed, "plain"), in_suite=6)
    yield Row("X5", WORKER + CANNOT, 12, _with(worker_killed, "none"), may_lose=True, in_suite=0)
    yield Row("X5", SERVER + GOES_ON, 36, _with(server_killed, "plain"), in_suite=6)
    yield Row("X5", SERVER + CANNOT, 12, _with(server_killed, "none"), may_lose=True, in_suite=0)
    yield Row("X5", REPLICA + GOES_ON, 18, _with(replica_killed, "plain"), in_suite=6)
    yield Row("X5", REPLICA + CANNOT, 6, _with(replica_killed, "none"), may_lose=True, in_suite=0)
    what = "kill -9 of a worker of two while the embedded engine answers; it says it again to the other"
    yield Row("X5", what, 6, speaking_worker_killed, in_suite=0, mark="engine")
    what = "SIGSTOP of one of two servers on a Redis until the other has taken over, then SIGCONT"
    yield Row("X6", what, 18, played(owner_frozen), in_suite=0)


def _with(scene: Callable[[int, str], AsyncIterator[Outcome]], prefill: str) -> Callable[[int], Iterator[Outcome]]:
    return played(lambda n: scene(n, prefill))
