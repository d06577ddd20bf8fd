"""The server as a process: start, refusal to start, drain, and the end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.server.asgi import Receive, Scope, Send
from riverrun.server.host import Host, running, serve
from riverrun.server.limits import HostLimits
from riverrun.server.sockets import Address, HostError, Listen
from riverrun.server.stream import Stream
from tests.server.served import PATIENCE, Echo, run, say, serving, wire

ASK = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

PROGRAM = """
import asyncio, json, sys
from riverrun.server.host import serve
from riverrun.server.limits import HostLimits
from riverrun.server.sockets import Listen


class App:
    draining = False

    def drain(self):
        self.draining = True
        print("draining", flush=True)

    def interrupt(self):
        pass

    async def __call__(self, scope, receive, send):
        for _ in range(2):
            event = (await receive())["type"]
            print(event, flush=True)
            await asyncio.sleep(float(sys.argv[2]))
            await send({"type": event + ".complete"})

    async def answer(self, exchange):
        stream = exchange.stream()
        if self.draining:
            stream.start(503, [(b"retry-after", b"1"), (b"content-length", b"0")])
            stream.finish()
            return
        stream.start(200, [])
        stream.write(b"begun")
        asyncio.get_running_loop().call_later(float(sys.argv[1]), stream.finish)
        await stream.done()


serve(App(), Listen(port=0), HostLimits(), has_keys=False, drain=20, ready=lambda where: print(where.port, flush=True))
print("over", flush=True)
"""


class Child:
    """The program above as a process of its own."""

    def __init__(self, answer: float, life: float = 0.0) -> None:
        source = Path(__file__).parents[2] / "src"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(answer), str(life)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(source)},
        )

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), PATIENCE)).strip()

    async def end(self) -> tuple[int, str, str]:
        out, err = await asyncio.wait_for(asyncio.to_thread(self.process.communicate), PATIENCE)
        return self.process.returncode, out, err

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def test_sigterm_lets_a_running_answer_finish_and_refuses_new_ones() -> None:
    child = Child(answer=1.0)

    async def check() -> None:
        assert await child.line() == "lifespan.startup"
        address = Address("127.0.0.1", int(await child.line()))
        async with wire(address) as line:
            line.send(ASK)
            await line.until(b"begun\r\n")
            child.process.send_signal(signal.SIGTERM)
            assert await child.line() == "draining"
            assert (await say(address, LAST)).startswith(b"HTTP/1.1 503 ")
            assert (await line.until(b"0\r\n\r\n")).endswith(b"0\r\n\r\n")
        code, out, err = await child.end()
        assert (code, err) == (0, "")
        assert out.split() == ["lifespan.shutdown", "over"]

    try:
        run(check())
    finally:
        child.stop()


def test_a_second_sigint_ends_the_drain_and_the_answer_is_cut() -> None:
    child = Child(answer=60.0)

    async def check() -> None:
        await child.line()
        address = Address("127.0.0.1", int(await child.line()))
        async with wire(address) as line:
            line.send(ASK)
            await line.until(b"begun\r\n")
            child.process.send_signal(signal.SIGINT)
            assert await child.line() == "draining"
            child.process.send_signal(signal.SIGINT)
            assert await line.rest() == b""
        code, out, err = await child.end()
        assert (code, err) == (0, "")
        assert out.split() == ["lifespan.shutdown", "over"]

    try:
        run(check())
    finally:
        child.stop()


def test_a_signal_during_a_slow_start_ends_it() -> None:
    child = Child(answer=0.0, life=60.0)

    async def check() -> None:
        assert await child.line() == "lifespan.startup"
        child.process.send_signal(signal.SIGTERM)
        code, out, err = await child.end()
        assert (code, out.split(), err) == (0, ["over"], "")

    try:
        run(check())
    finally:
        child.stop()


def test_the_application_is_started_before_and_stopped_after_the_last_request() -> None:
    app = Echo()

    async def check() -> None:
        async with serving(app) as address:
            assert app.life == ["lifespan.startup"]
            assert address.port > 0
            assert address.url == f"http://127.0.0.1:{address.port}"
            answer = await say(address, LAST)
            assert b"date: " in answer
            assert b"server:" not in answer
            assert not app.drained
        assert app.drained
        assert app.life == ["lifespan.startup", "lifespan.shutdown"]
        with pytest.raises(ConnectionRefusedError):
            await say(address, LAST)

    run(check())


@pytest.mark.parametrize(("drain", "whole"), [(PATIENCE, True), (0.0, False)])
def test_a_drain_waits_for_what_was_answered_and_not_read(drain: float, whole: bool) -> None:
    """An HTTP/1.0 body ends where its connection does: one that could not be sent whole must not look so."""
    size = 8_000_000

    async def surface(stream: Stream) -> None:
        stream.start(200, [])
        stream.write(b"x" * size)
        stream.finish()

    async def main() -> tuple[int, bool]:
        host = Host(Echo(surface), Listen(port=0), HostLimits())
        address = await host.start()
        got, reset = b"", False
        async with wire(address) as line:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]  # every transport that reads has it
            line.send(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
            while not host.state.sending:
                await asyncio.sleep(0.01)
            stopping = asyncio.create_task(host.stop(drain))
            await asyncio.sleep(0.1)
            line.writer.transport.resume_reading()  # type: ignore[attr-defined]
            try:
                while block := await line.reader.read(1 << 16):
                    got += block
            except ConnectionResetError:
                reset = True
            await stopping
        return len(got.partition(b"\r\n\r\n")[2]), reset

    length, reset = run(main())
    assert (length == size) is whole
    assert reset is not whole


def test_what_still_runs_after_the_drain_is_cut() -> None:
    gone = asyncio.Event()

    async def surface(stream: Stream) -> None:
        stream.on_gone = gone.set
        stream.start(200, [])
        stream.write(b"begun")
        await stream.done()

    async def check() -> None:
        host = Host(Echo(surface), Listen(port=0), HostLimits())
        address = await host.start()
        async with wire(address) as line, wire(address) as idle:
            idle.send(LAST.replace(b"Connection: close\r\n", b""))
            await idle.answer()
            line.send(ASK)
            await line.until(b"begun\r\n")
            await host.stop(drain=0.1)
            assert gone.is_set()
            assert await line.rest() == b""  # and no last chunk
            assert await idle.rest() == b""

    run(check())


def test_an_application_that_ignores_its_end_is_cancelled() -> None:
    async def surface(stream: Stream) -> None:
        await asyncio.Event().wait()

    async def check() -> None:
        host = Host(Echo(surface), Listen(port=0), HostLimits())
        address = await host.start()
        async with wire(address) as line:
            line.send(ASK)
            while not host.state.tasks:
                await asyncio.sleep(0)
            await host.stop(drain=0.05)
            assert not host.state.tasks

    run(check())


def test_a_port_in_use_is_one_clear_line_and_nothing_is_started() -> None:
    async def check() -> str:
        app = Echo()
        async with serving(Echo()) as address:
            with pytest.raises(HostError) as refused:
                async with running(app, Listen(port=address.port)):
                    pass
        assert app.life == []
        return str(refused.value)

    message = run(check())
    assert "is in use" in message
    assert "\n" not in message


def test_off_loopback_it_needs_keys() -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(HostError, match=r"without API keys.*--api-key or RIVERRUN_API_KEY"):
            serve(Echo(), Listen(host=host), HostLimits(), has_keys=False, ready=print)


def test_the_reason_of_a_failed_start_comes_out() -> None:
    class Failing(Echo):
        def __init__(self, raises: bool) -> None:
            super().__init__()
            self.raises = raises

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            if self.raises:
                raise LookupError("no model")
            await send({"type": "lifespan.startup.failed", "message": "no engine"})

    async def check(raises: bool) -> None:
        async with serving(Failing(raises)):
            pass

    with pytest.raises(LookupError, match="no model"):
        run(check(True))
    with pytest.raises(HostError, match="no engine"):
        run(check(False))


def test_a_unix_socket_serves_is_private_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "riverrun.sock"

    async def check() -> None:
        async with serving(Echo(), uds=str(path)) as address:
            assert address.url == f"unix:{path}"
            assert path.stat().st_mode & 0o777 == 0o600
            assert (await say(address, LAST)).startswith(b"HTTP/1.1 200 ")
            with pytest.raises(HostError, match="in use by a running server"):
                async with serving(Echo(), uds=str(path)):
                    pass
            assert path.exists()
        assert not path.exists()

    run(check())


def test_refusals_of_the_host_are_json_with_a_date() -> None:
    async def check() -> bytes:
        async with serving(Echo()) as address:
            return await say(address, b"nonsense\r\n\r\n")

    head, _, body = run(check()).partition(b"\r\n\r\n")
    assert b"date: " in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
