"""The row X18: no room on the disk, writes that fail, no file descriptors left, while streams are written to files.

Afterwards the server is killed and another one started on the same files: all that a client has must be in them.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random as randomness
import resource
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil
import pytest

from tests.faults.readers import Heard, Reader, all_replayed, together, until
from tests.faults.replicas import killed, played, replica, resuming
from tests.faults.rows import Outcome, Row
from tests.faults.store_faults import status_of
from tests.faults.storyteller import Storyteller
from tests.servers import Served
from tests.upstreams import serve

AT_ONCE = 12
WORDS = 60
SIZE = 1024 * 1024
"""Bytes of the small disk."""
HELD = 0.5
"""Seconds for which the disk stays broken after the first client was told so."""
BROKEN_DISK = Path(__file__).with_name("broken_disk")


class Spot(NamedTuple):
    """A server, the folder that its files are in, and the file that breaks its disk."""

    server: Served
    folder: Path
    order: Path


Place = Callable[[], AbstractContextManager[Path]]
"""A folder for everything."""
Breaking = Callable[[Spot], AbstractAsyncContextManager[None]]
"""The disk is broken inside it."""


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own, so that it can really be full. Skips where none can be mounted."""
    with TemporaryDirectory() as name:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", name], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("only root can mount a small disk")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@contextmanager
def plain_folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


@asynccontextmanager
async def full(spot: Spot) -> AsyncIterator[None]:
    """Something else fills the disk, but for a few blocks."""
    filler = spot.folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(filler, filler.stat().st_size // 4096 * 4096 - 6 * 4096)
    try:
        yield
    finally:
        filler.unlink()


@asynccontextmanager
async def failing(spot: Spot) -> AsyncIterator[None]:
    new = spot.order.with_suffix(".new")
    new.write_text(str(errno.EIO))
    new.rename(spot.order)
    try:
        yield
    finally:
        spot.order.unlink()


@asynccontextmanager
async def no_descriptors(spot: Spot) -> AsyncIterator[None]:
    """Three are left, and more clients come than that."""
    process = psutil.Process(spot.server.process.pid)
    before = process.rlimit(resource.RLIMIT_NOFILE)
    process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + 3, before[1]))
    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(_in_vain(spot.server.port, f"vain{number}"))
            yield
    finally:
        process.rlimit(resource.RLIMIT_NOFILE, before)


async def _in_vain(port: int, name: str) -> None:
    """A client that may get anything, or nothing."""
    with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(1.0):
            await status_of(port, name)


async def broken(n: int, place: Place, breaking: Breaking, seed: int) -> AsyncIterator[Outcome]:
    random, tried = randomness.Random(seed), 0
    while tried < n:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(place())
            upstream = await stack.enter_async_context(serve(upstream=Storyteller()))
            for heard, outcome in (await _one_break(stack, folder, upstream.base_url, breaking, random))[: n - tried]:
                tried += 1
                yield outcome._replace(told=outcome.told or bool(heard.broke))


async def _one_break(
    stack: AsyncExitStack, folder: Path, url: str, breaking: Breaking, random: randomness.Random
) -> list[tuple[Heard, Outcome]]:
    order, tapes = folder / "order", f"file:{folder}/tapes"
    environ = {"PYTHONPATH": f"{BROKEN_DISK}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "BROKEN_DISK": str(order)}
    server = await stack.enter_async_context(replica(folder, url, tapes, environ=environ))
    client = await stack.enter_async_context(resuming(server.url))
    plain = [Reader(f"d{random.getrandbits(40):x}", WORDS, lambda: server.port) for _ in range(AT_ONCE // 2)]
    others = [Heard(f"d{random.getrandbits(40):x}", WORDS) for _ in range(AT_ONCE - len(plain))]

    async def strike(every: list[Heard]) -> None:
        async with breaking(Spot(server, folder, order)):
            await until(lambda: any(heard.broke or heard.over for heard in every))
            await asyncio.sleep(HELD)

    every = await together(client, plain, others, random.randint(1, WORDS // 2), strike)
    after = await status_of(server.port, "after")
    await killed(server)
    another = await stack.enter_async_context(replica(folder, url, tapes))
    outcomes = await all_replayed(another.port, every)
    wrong = _ledger(folder / "ledger.sqlite") or ("" if after == 200 else f"a later request was answered {after}")
    return [(heard, out._replace(broken=out.broken or wrong)) for heard, out in zip(every, outcomes, strict=True)]


def _ledger(path: Path) -> str:
    """What is wrong with it."""
    ledger = sqlite3.connect(path)
    try:
        (sound,) = ledger.execute("PRAGMA integrity_check").fetchone()
        (kept,) = ledger.execute("SELECT count(*) FROM request").fetchone()
    finally:
        ledger.close()
    return "" if sound == "ok" and kept else f"the ledger: {sound}, {kept} rows"


def rows() -> Iterator[Row]:
    scenes: list[tuple[str, Place, Breaking]] = [
        ("no room on a small disk, then room again", small_disk, full),
        ("every write fails with EIO, half done, then none", plain_folder, failing),
        ("no file descriptors left while more clients come", plain_folder, no_descriptors),
    ]
    for seed, (what, place, breaking) in enumerate(scenes):
        yield Row(
            "X18",
            what,
            12,
            _scene(place, breaking, seed),
            may_lose=True,
            in_suite=12 if breaking is no_descriptors else 0,
        )


def _scene(place: Place, breaking: Breaking, seed: int) -> Callable[[int], Iterator[Outcome]]:
    return played(lambda n: broken(n, place, breaking, seed))
