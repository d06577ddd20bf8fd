"""The control socket: who reaches it, and what it answers."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from riverrun import __version__
from riverrun.server import control as control_module
from riverrun.server.control import Control, ask, folder, path_of, sockets
from riverrun.server.sockets import Address
from riverrun.server.status import Overview
from tests.server.served import PATIENCE

HOST = "127.0.0.1"


async def overview() -> Overview:
    return Overview(3, (), [])


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def opened(runner: asyncio.Runner, host: str = HOST, port: int = 8000) -> Iterator[Control]:
    control = Control()
    runner.run(control.open(overview))
    control.publish(Address(host, port))
    try:
        yield control
    finally:
        control.close()


async def say(line: bytes, port: int = 8000) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path_of(HOST, port)))
    try:
        writer.write(line)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    finally:
        writer.close()


def test_only_this_user_reaches_it_and_it_goes_with_its_server(runtime: Path) -> None:
    with asyncio.Runner() as runner:
        with opened(runner):
            assert stat.S_IMODE(path_of(HOST, 8000).stat().st_mode) == 0o600
            assert stat.S_IMODE(folder().stat().st_mode) == 0o700
            assert [path.name for path in folder().iterdir()] == ["8000@127.0.0.1.sock"]
        assert list(folder().iterdir()) == []


def test_it_tells_its_status_and_nothing_else(runtime: Path) -> None:
    with asyncio.Runner() as runner, opened(runner):
        assert (
            runner.run(say(b'{"ask": "status"}\n'))
            == f'{{"version":"{__version__}","running":3,"models":[]}}\n'.encode()
        )
        for nonsense in (b"nonsense\n", b"[]\n", b'{"ask": "stop"}\n', b"\n"):
            assert b"error" in runner.run(say(nonsense))
        assert runner.run(say(b"x" * 5000)) == b""


def test_a_caller_asks_it(runtime: Path) -> None:
    with asyncio.Runner() as runner, opened(runner):
        asked = runner.run(asyncio.wait_for(_in_a_process(), PATIENCE))
    assert "'running': 3" in asked
    assert ask(path_of(HOST, 8000)) is None


async def _in_a_process() -> str:
    """`ask` waits, so that it can't run beside the loop that answers."""
    import sys

    code = "from riverrun.server.control import ask, path_of; print(ask(path_of('127.0.0.1', 8000)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode()


def test_a_dead_servers_socket_is_taken_over(runtime: Path) -> None:
    folder().mkdir()
    path_of(HOST, 8000).touch()
    with asyncio.Runner() as runner, opened(runner):
        assert b"version" in runner.run(say(b'{"ask": "status"}\n'))


def test_a_folder_that_is_not_ours_is_not_used(runtime: Path, caplog: pytest.LogCaptureFixture) -> None:
    (runtime / "elsewhere").mkdir()
    (runtime / "riverrun").symlink_to(runtime / "elsewhere")
    with asyncio.Runner() as runner, opened(runner):
        assert list((runtime / "elsewhere").iterdir()) == []
    assert "not a folder of this user" in caplog.text


def test_servers_with_one_port_on_two_hosts_have_two_sockets(runtime: Path) -> None:
    long = "a" * 250 + ".example"
    with asyncio.Runner() as runner, opened(runner), opened(runner, "::1"), opened(runner, long, 1):
        assert sockets(8000) == [path_of(HOST, 8000), path_of("::1", 8000)]
        assert len(sockets()) == 3
        assert len(path_of(long, 1).name) < 30


def test_an_asker_waits_for_so_long_in_all(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says a little now and then, and never ends, is left."""
    monkeypatch.setattr(control_module, "PATIENCE", 0.3)

    left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            pass
        finally:
            writer.close()
            left.set()

    async def scene() -> object:
        path = runtime / "drip.sock"
        server = await asyncio.start_unix_server(drip, str(path))
        async with server, asyncio.timeout(PATIENCE):
            told = await asyncio.to_thread(ask, path)
            await left.wait()
        return told

    assert asyncio.run(scene()) is None
