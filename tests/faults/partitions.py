"""The rows X26: the network between riverrun and its clients, or its upstream, drops all and closes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psutil

from tests.faults.readers import Heard, Reader, all_replayed, together
from tests.faults.replicas import played, replica, resuming
from tests.faults.rows import Outcome, Row
from tests.faults.storyteller import Storyteller
from tests.faults.wire import wire
from tests.servers import Served
from tests.upstreams import serve

AT_ONCE = 6
WORDS = 120
LONG = "x" * 6000
"""Of a word: what is not read soon fills all buffers between the two."""
DEADLINE = 3.0
"""Seconds: `blocked_seconds` towards clients, `idle` towards upstreams; a client takes half of it for silence."""
LATER = 5.0
"""Seconds after the deadline in which everything must be free."""
MORE = """
blocked_seconds = {deadline}
[upstream.a.deadlines]
idle = "{deadline}s"
[upstream.b]
base_url = "{second}"
prefill = "plain"
"""


async def cut_off(n: int, side: str) -> AsyncIterator[Outcome]:
    """`side` of the server that is cut off: its "clients" or its "upstream"."""
    random, tried = Random(26), 0
    while tried < n:
        for outcome in (await _one_cut(side, random))[: n - tried]:
            tried += 1
            yield outcome


async def _one_cut(side: str, random: Random) -> list[Outcome]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        upstream = await stack.enter_async_context(serve(upstream=Storyteller(0.03)))
        behind = await stack.enter_async_context(wire(upstream.port))
        url = f"http://127.0.0.1:{behind.port}/v1"
        more = MORE.format(deadline=DEADLINE, second=upstream.base_url)
        server = await stack.enter_async_context(replica(folder, url, "memory:", targets='["a/q", "b/q"]', more=more))
        before = await stack.enter_async_context(wire(server.port))
        broken = behind if side == "upstream" else before
        silence = DEADLINE / 2 if side == "clients" else 3 * DEADLINE
        client = await stack.enter_async_context(resuming(f"http://127.0.0.1:{before.port}/v1", silence))
        names = [f"p{random.getrandbits(40):x}{LONG}" for _ in range(AT_ONCE)]
        plain = [Reader(name, WORDS, lambda: before.port, silence) for name in names[::2]]
        others = [Heard(name, WORDS) for name in names[1::2]]
        far = behind.port if side == "upstream" else server.port
        free: asyncio.Task[float] | None = None

        async def strike(every: list[Heard]) -> None:
            nonlocal free
            held = {each for each in connections(server) if far in each}
            broken.swallow_open()
            free = asyncio.create_task(freed(server, held))

        every = await together(client, plain, others, random.randint(1, WORDS // 4), strike)
        assert free is not None
        after = await free
        held = "" if after else "what was held for it is still held"
        note = f"free after {after:.1f} s, the deadline being {DEADLINE:g} s"
        outcomes = await all_replayed(server.port, every)
    return [outcome._replace(broken=outcome.broken or held, note=note) for outcome in outcomes]


def connections(server: Served) -> set[tuple[int, int]]:
    """The server's, by its own port and the other's."""
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return {(each.laddr.port, each.raddr.port) for each in found if each.raddr}


async def freed(server: Served, held: set[tuple[int, int]]) -> float:
    """Seconds until the server has let all of these go; 0: it has not in time."""
    begun = time.monotonic()
    while time.monotonic() - begun < DEADLINE + LATER:
        if not held & await asyncio.to_thread(connections, server):
            return time.monotonic() - begun
        await asyncio.sleep(0.1)
    return 0.0


def rows() -> Iterator[Row]:
    yield Row("X26", "the clients are cut off without a FIN, and come back", 12, _scene("clients"), in_suite=6)
    yield Row(
        "X26",
        "the upstream is cut off without a FIN; a second one goes on with the answer",
        12,
        _scene("upstream"),
        in_suite=6,
    )


def _scene(side: str) -> Callable[[int], Iterator[Outcome]]:
    return played(lambda n: cut_off(n, side))
