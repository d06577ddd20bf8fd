"""The network in memory behaves as the kernel's: order, ends, resets, refusals."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import memory_net
from tests.upstreams import play, serve


async def _sent_and_read(*steps: bytes | float, end: str) -> tuple[bytes, float]:
    async with serve(play(*steps, end=end)) as upstream:  # type: ignore[arg-type]  # one of its words
        reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        began = asyncio.get_running_loop().time()
        try:
            return await reader.read(), asyncio.get_running_loop().time() - began
        finally:
            writer.close()
            assert len(upstream.requests) == 1


@pytest.mark.parametrize("run", [memory_net.run, asyncio.run])
def test_bytes_come_in_order_and_then_the_end(run: object) -> None:
    assert callable(run)
    body, _ = run(_sent_and_read(b"one ", 0.01, b"two", end="clean"))
    assert body == b"one two"


@pytest.mark.parametrize("run", [memory_net.run, asyncio.run])
def test_a_reset_is_no_end(run: object) -> None:
    assert callable(run)
    with pytest.raises(ConnectionResetError):
        run(_sent_and_read(b"one ", end="reset"))


def test_a_minute_takes_no_time() -> None:
    assert memory_net.run(_sent_and_read(b"one ", 60.0, b"two", end="half-close")) == (b"one two", 60.0)


@pytest.mark.parametrize("run", [memory_net.run, asyncio.run])
def test_where_nobody_listens_the_connection_is_refused(run: object) -> None:
    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", 1)

    assert callable(run)
    run(main())
