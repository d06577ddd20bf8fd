"""The row X17: Redis is killed and started again, frozen, or cut off, while twenty streams are written to it.

Redis writes an append-only file before it answers, so that what it has at any moment can be read there, also while it
is dead: an event that a client has and that file has not was sent before it was kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.faults.figures import quantile
from tests.faults.readers import Heard, Reader, all_replayed, together
from tests.faults.replicas import needs, played, replica, resuming
from tests.faults.rows import Outcome, Row
from tests.faults.storyteller import Storyteller
from tests.faults.wire import Wire, wire
from tests.redis import PROGRAM, RedisServer, redis_server
from tests.upstreams import serve

AT_ONCE = 20
WORDS = 80
SETTLED = 0.5
"""Seconds after which what was on its way has arrived."""
LONGEST_503 = 5.0
"""Seconds that a new request may wait for its 503: Redis has 2 s to answer, and this machine may be busy."""


class Outage(NamedTuple):
    """How the store fails and comes back, and for how long it is away."""

    begin: Callable[[RedisServer, Wire], object]
    end: Callable[[RedisServer, Wire], object]
    shortest: float
    longest: float


OUTAGES = {
    "killed and started again 1 to 4 s later": Outage(
        lambda redis, line: redis.stop(), lambda redis, line: redis.start(), 1.0, 4.0
    ),
    "frozen for 3 to 8 s": Outage(lambda redis, line: redis.freeze(), lambda redis, line: redis.thaw(), 3.0, 8.0),
    "frozen for 17 to 20 s, longer than a stream waits": Outage(
        lambda redis, line: redis.freeze(), lambda redis, line: redis.thaw(), 17.0, 20.0
    ),
    "cut off for 3 to 8 s without a reset": Outage(
        lambda redis, line: line.swallow(), lambda redis, line: line.flow(), 3.0, 8.0
    ),
}


async def away(n: int, outage: Outage) -> AsyncIterator[Outcome]:
    needs(PROGRAM, "neither redis-server nor valkey-server is installed")
    random, tried = Random(17), 0
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        redis = stack.enter_context(redis_server(durable=True))
        line = await stack.enter_async_context(wire(redis.port))
        upstream = await stack.enter_async_context(serve(upstream=Storyteller(0.05)))
        tapes = f"redis://127.0.0.1:{line.port}/0"
        server = await stack.enter_async_context(replica(folder, upstream.base_url, tapes))
        client = await stack.enter_async_context(resuming(server.url))
        while tried < n:
            plain = [Reader(f"r{tried + at}", WORDS, lambda: server.port) for at in range(AT_ONCE // 2)]
            others = [Heard(f"c{tried + at}", WORDS) for at in range(AT_ONCE // 2)]
            seconds = random.uniform(outage.shortest, outage.longest)
            sent: list[str] = []
            waited: list[float] = []

            async def strike(every: list[Heard], seconds: float = seconds) -> None:
                nonlocal sent, waited
                sent, waited = await _while_away(redis, line, outage, seconds, every, server.port)

            every = await together(client, plain, others, random.randint(1, WORDS // 2), strike)
            note = f"new requests had their 503 within {quantile(waited, 1.0):.1f} s"
            for outcome, wrong in zip(await all_replayed(server.port, every), sent, strict=True):
                if tried < n:
                    tried += 1
                    yield outcome._replace(broken=wrong or outcome.broken, note=note)


async def _while_away(
    redis: RedisServer, line: Wire, outage: Outage, seconds: float, every: list[Heard], port: int
) -> tuple[list[str], list[float]]:
    """The outage. What is wrong with what each client was sent, and how long each new request waited for its 503."""
    await asyncio.to_thread(outage.begin, redis, line)
    begun = time.monotonic()
    try:
        await asyncio.sleep(SETTLED)
        kept = _appended(redis.folder)
        wrong = ["" if all(each in kept for each in heard.events) else "sent before it was kept" for heard in every]
        words = [heard.words for heard in every]
        waited = [await refused(port, f"new{begun}") for _ in range(2)]
        await asyncio.sleep(begun + seconds - time.monotonic())
        for at, heard in enumerate(every):
            if heard.words != words[at]:
                wrong[at] = wrong[at] or "words came while the store was away"
    finally:
        await asyncio.to_thread(outage.end, redis, line)
    if max(waited) > LONGEST_503:
        wrong[0] = wrong[0] or f"a new request waited {max(waited):.1f} s for its 503"
    return wrong, waited


def _appended(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("appendonlydir/*.aof")))


async def refused(port: int, name: str) -> float:
    """Seconds that a new request waits for 503."""
    begun = time.monotonic()
    status = await status_of(port, name)
    assert status == 503, status
    return time.monotonic() - begun


async def status_of(port: int, name: str, words: int = 3) -> int:
    """What a new request is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(Reader(name, words, lambda: port).request())
        async with asyncio.timeout(30):
            return int((await reader.readuntil(b"\r\n")).split(b" ", 2)[1])
    finally:
        writer.transport.abort()


def rows() -> Iterator[Row]:
    for number, (what, outage) in enumerate(OUTAGES.items()):
        yield Row("X17", f"Redis is {what}", AT_ONCE, _scene(outage), in_suite=0 if number else AT_ONCE)


def _scene(outage: Outage) -> Callable[[int], Iterator[Outcome]]:
    return played(lambda n: away(n, outage))
