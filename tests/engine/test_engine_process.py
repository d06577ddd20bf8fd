from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest
import uvloop

from riverrun.engine.process import DESCRIPTORS, Process
from riverrun.engine.settings import NotReady, Ready

from .ggufs import MODEL, gguf
from .real import get, run, small

PARENT = """
import asyncio, sys
import msgspec
from riverrun.engine.process import Process
from riverrun.engine.settings import ChildSettings
async def main():
    process = await Process.start(msgspec.json.decode(sys.argv[1], type=ChildSettings))
    if sys.argv[2] == "ready":
        report = await process.report()
    print(process.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.engine
def test_a_child_says_what_its_model_can_do_and_serves_in_private() -> None:
    async def test() -> None:
        process = await Process.start(small())
        ready = await process.report()
        assert isinstance(ready, Ready)
        assert (ready.slots, ready.context, ready.vocabulary) == (2, 1024, 49152)
        assert (ready.tools, ready.modalities, ready.key) == (False, ("text",), None)
        socket = Path(ready.base_url.split(":")[1])
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0
        assert psutil.Process(process.pid).net_connections("inet") == []
        assert await get(ready.base_url, "/health") == (200, {"status": "ok"})
        await process.stop()
        assert not psutil.pid_exists(process.pid)
        assert not socket.parent.exists()

    run(test)


@pytest.mark.engine
def test_without_unix_sockets_a_random_key_guards_a_port_on_loopback() -> None:
    async def test() -> None:
        process = await Process.start(small(transport="loopback"))
        ready = await process.report()
        assert isinstance(ready, Ready)
        assert ready.base_url.startswith("http://127.0.0.1:")
        assert ready.key is not None
        assert len(ready.key) >= 32
        assert (await get(ready.base_url, "/slots"))[0] == 401
        assert (await get(ready.base_url, "/slots", ready.key))[0] == 200
        await process.stop()

    run(test)


def test_a_file_that_is_no_model_is_reported_in_words(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"<html>")

    async def test() -> None:
        process = await Process.start(small(model=str(tmp_path / "m.gguf")))
        report = await process.report()
        assert isinstance(report, NotReady)
        assert "m.gguf is not a GGUF file" in report.message
        await process.gone()

    run(test)


@pytest.mark.engine
def test_a_model_that_the_engine_refuses_is_reported_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(gguf(MODEL))  # a head without tensors

    async def test() -> None:
        process = await Process.start(small(model=str(tmp_path / "m.gguf")))
        report = await process.report()
        assert isinstance(report, NotReady)
        assert report.why == "engine"
        assert "can't load" in report.message
        assert "key not found in model" in report.message  # the engine's own reason, without its time and place
        assert "input params" not in report.message

    run(test)


@pytest.mark.engine
def test_a_context_that_does_not_fit_is_refused_before_loading() -> None:
    async def test() -> None:
        process = await Process.start(small(slots=100_000))
        report = await process.report()
        assert isinstance(report, NotReady)
        assert report.why == "resources"
        assert "lower engine.context or engine.slots" in report.message
        assert not any("load_model" in line for line in process.tail)
        await process.gone()

    run(test)


def test_a_process_that_dies_before_it_reports_is_reported(tmp_path: Path) -> None:
    async def test() -> None:
        process = await Process.start(small(model=str(tmp_path / "none")))
        os.kill(process.pid, signal.SIGKILL)
        report = await process.report()
        assert isinstance(report, NotReady)
        assert report.why == "died"
        assert "ended while it loaded the model (signal 9)" in report.message

    run(test)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_too_few_open_files_are_said_so_and_none_is_lost(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    import resource

    async def test() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = len(os.listdir("/dev/fd"))
        unused = sorted(set(range(1000)) - set(map(int, os.listdir("/dev/fd"))))
        resource.setrlimit(resource.RLIMIT_NOFILE, (unused[DESCRIPTORS // 2], hard))
        try:
            with pytest.raises(OSError, match="Too many open files") as refused:
                await Process.start(small(model=str(tmp_path / "none")))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert refused.value.errno == errno.EMFILE
        assert len(os.listdir("/dev/fd")) == before

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())


@pytest.mark.engine
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a loading child leaves only after it has loaded")
@pytest.mark.parametrize("when", ["loading", "ready"])
def test_the_child_dies_with_its_parent_even_when_that_is_killed(when: str, tmp_path: Path) -> None:
    async def test() -> None:
        settings = msgspec.json.encode(small()).decode()
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PARENT, settings, when, stdout=asyncio.subprocess.PIPE, env=environment
        )
        assert parent.stdout is not None
        child = psutil.Process(int(await parent.stdout.readline()))
        parent.kill()
        await parent.wait()
        await asyncio.to_thread(child.wait, 20)
        if when == "ready":
            assert list(tmp_path.glob("riverrun-*")) == []

    run(test)
