from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from riverrun.engine.health import answers

from .real import run


@contextlib.asynccontextmanager
async def engine(line: bytes, path: Path | None = None) -> AsyncIterator[str]:
    """Something that answers each connection with `line`, or says nothing; gives its base_url."""
    talks: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        writer.write(line)
        if not line:
            await reader.read()  # until the other side gives up
        writer.close()
        await writer.wait_closed()

    start = asyncio.start_unix_server(answer, path) if path else asyncio.start_server(answer, "127.0.0.1", 0)
    server = await start
    async with server:
        yield f"unix:{path}:/" if path else f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(talk for talk in talks if talk))


@pytest.mark.parametrize(
    ("line", "well"),
    [(b"HTTP/1.1 200 OK\r\n\r\n", True), (b"HTTP/1.1 503 No\r\n\r\n", False), (b"\r\n", False), (b"", False)],
)
def test_only_an_engine_that_answers_200_in_time_is_well(tmp_path: Path, line: bytes, well: bool) -> None:
    async def test() -> None:
        async with engine(line, tmp_path / "e.sock") as url:
            assert await answers(url, 5.0 if line else 0.1) is well

    run(test)


def test_a_port_is_asked_too() -> None:
    async def test() -> None:
        async with engine(b"HTTP/1.1 200 OK\r\n\r\n") as url:
            assert await answers(url, 5.0)
        assert not await answers(url, 5.0)

    run(test)


def test_nobody_there_is_not_well(tmp_path: Path) -> None:
    async def test() -> None:
        assert not await answers(f"unix:{tmp_path / 'gone.sock'}:/", 5.0)

    run(test)
