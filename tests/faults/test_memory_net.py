"""The network in memory behaves as the kernel's: order, ends, resets, refusals."""

from __future__ import annotations

import asyncio
from pathlib import Path

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


class _Peer(asyncio.Protocol):
    """Keeps what it gets, and what it is told."""

    def __init__(self) -> None:
        self.got = b""
        self.told: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, memory_net.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(type(exc).__name__)

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


async def _pair(path: str) -> tuple[_Peer, _Peer]:
    """Both ends of a connection over a Unix socket."""
    loop, accepted = asyncio.get_running_loop(), _Peer()
    await loop.create_unix_server(lambda: accepted, path)
    _, opened = await loop.create_unix_connection(_Peer, path)
    return opened, accepted


def test_a_reader_that_pauses_holds_its_writer_up(tmp_path: Path) -> None:
    async def main() -> None:
        writer, reader = await _pair(str(tmp_path / "socket"))
        writer.transport.set_write_buffer_limits(high=10)
        reader.transport.pause_reading()
        writer.transport.write(b"x" * 8)
        assert writer.told == []
        writer.transport.write(b"x" * 8)
        assert writer.told == ["pause"]
        assert writer.transport.get_write_buffer_size() == 16
        reader.transport.resume_reading()
        await asyncio.sleep(0.1)
        assert reader.got == b"x" * 16
        assert writer.told == ["pause", "resume"]

    memory_net.run(main())


def test_a_line_that_is_dead_tells_nobody_but_the_writer_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = await _pair(str(tmp_path / "socket"))
        one.transport.cut_off()
        one.transport.write(b"lost")
        await asyncio.sleep(memory_net.USER_TIMEOUT - 1.0)
        assert (one.told, other.told, other.got) == ([], [], b"")
        await asyncio.sleep(2.0)
        assert (one.told, other.told, other.got) == (["TimeoutError"], [], b"")

    memory_net.run(main())


def test_a_socket_without_its_process_refuses(tmp_path: Path) -> None:
    async def main() -> None:
        loop, path = asyncio.get_running_loop(), tmp_path / "socket"
        with pytest.raises(FileNotFoundError):
            await loop.create_unix_connection(_Peer, str(path))
        path.touch()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(_Peer, str(path))

    memory_net.run(main())
