"""The control socket: who reaches it, and what it answers."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from riverrun.server.control import Control, ask, folder, path_of
from riverrun.wire.jsonvalue import JsonObject
from tests.server.served import PATIENCE

STATUS: JsonObject = {"version": "1", "models": []}


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def opened(runner: asyncio.Runner, port: int = 8000) -> Iterator[Control]:
    control = Control()
    runner.run(control.open(lambda: STATUS))
    control.publish(port)
    try:
        yield control
    finally:
        control.close()


async def say(line: bytes, port: int = 8000) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path_of(port)))
    try:
        writer.write(line)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    finally:
        writer.close()


def test_only_this_user_reaches_it_and_it_goes_with_its_server(runtime: Path) -> None:
    with asyncio.Runner() as runner:
        with opened(runner):
            assert stat.S_IMODE(path_of(8000).stat().st_mode) == 0o600
            assert stat.S_IMODE(folder().stat().st_mode) == 0o700
            assert [path.name for path in folder().iterdir()] == ["8000.sock"]
        assert list(folder().iterdir()) == []


def test_it_tells_its_status_and_nothing_else(runtime: Path) -> None:
    with asyncio.Runner() as runner, opened(runner):
        assert runner.run(say(b'{"ask": "status"}\n')) == b'{"version":"1","models":[]}\n'
        for nonsense in (b"nonsense\n", b"[]\n", b'{"ask": "stop"}\n', b"\n"):
            assert b"error" in runner.run(say(nonsense))
        assert runner.run(say(b"x" * 5000)) == b""


def test_a_caller_asks_it(runtime: Path) -> None:
    with asyncio.Runner() as runner, opened(runner):
        asked = runner.run(asyncio.wait_for(_in_a_process(), PATIENCE))
    assert "'version': '1'" in asked
    assert ask(path_of(8000)) is None


async def _in_a_process() -> str:
    """`ask` waits, so that it can't run beside the loop that answers."""
    import sys

    code = "from riverrun.server.control import ask, path_of; print(ask(path_of(8000)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode()


def test_a_dead_servers_socket_is_taken_over(runtime: Path) -> None:
    folder().mkdir()
    path_of(8000).touch()
    with asyncio.Runner() as runner, opened(runner):
        assert b"version" in runner.run(say(b'{"ask": "status"}\n'))


def test_a_folder_that_is_not_ours_is_not_used(runtime: Path, caplog: pytest.LogCaptureFixture) -> None:
    (runtime / "elsewhere").mkdir()
    (runtime / "riverrun").symlink_to(runtime / "elsewhere")
    with asyncio.Runner() as runner, opened(runner):
        assert list((runtime / "elsewhere").iterdir()) == []
    assert "not a folder of this user" in caplog.text
