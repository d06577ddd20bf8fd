"""`riverrun serve --workers 2` with real processes: both answer, one may die, all change and end as one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from tests.server.workers.scenes import (
    CLIENT_KEY,
    KEY,
    Connection,
    alive,
    answer,
    connections,
    environ,
    held,
    left_behind,
    logged,
    on_both,
    served,
    until,
    workers,
    written,
)
from tests.upstreams import play, serve, whole

DOWN = play(whole(b'{"error": {"message": "down"}}', "503 Service Unavailable"))
REFUSED = play(whole(b'{"error": {"message": "no"}}', "401 Unauthorized"))


def test_both_workers_answer_alike_and_nobody_can_read_their_keys(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serve(answer("hello")) as one, served(tmp_path, one) as server, on_both(server) as both:
            listed = set()
            for connection in (each for some in both.values() for each in some):
                connection.ask()
                assert await connection.text() == "hello"
                connection.send("/v1/models")
                listed.add(await connection.whole())
            assert len(listed) == 1
            assert {each.headers["authorization"] for each in one.requests} == {f"Bearer {KEY}"}
            for worker in workers(server):
                read = "".join([*worker.cmdline(), *worker.environ().values()])
                assert KEY not in read
                assert CLIENT_KEY not in read
            assert not any(KEY in line or CLIENT_KEY in line for line in server.log)

    asyncio.run(scene())


def test_every_worker_knows_what_runs_in_all(tmp_path: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        async with serve(held(gate)) as one, served(tmp_path, one) as server, on_both(server, each=3) as both:
            for first, second, _ in both.values():
                first.ask(stream=True)
                second.ask(stream=True)
            await one.asked(4)
            for *_, third in both.values():
                third.send("/health")
                assert json.loads(await third.whole())["running"] == 4
            gate.set()
            for first, second, _ in both.values():
                assert b"[DONE]" in await first.until(b"0\r\n\r\n") + await second.until(b"0\r\n\r\n")

    asyncio.run(scene())


def test_a_killed_worker_takes_its_own_streams_with_it_and_nothing_else(tmp_path: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        async with serve(*[held(gate)] * 4, answer("hello")) as one, served(tmp_path, one) as server:
            async with on_both(server) as both:
                (dead, lost), (other, kept) = both.items()
                for connection in (*lost, *kept):
                    connection.ask(stream=True)
                await one.asked(4)
                os.kill(dead, signal.SIGKILL)
                for connection in lost:
                    assert b"[DONE]" not in await connection.rest()
                async with connections(server, 16) as after:  # none is refused, whoever it belongs to
                    for connection in after:
                        connection.ask()
                    assert [await connection.text() for connection in after] == ["hello"] * 16
                assert {worker.pid for worker in workers(server)} > {other}
                assert len(workers(server)) == 2
                gate.set()
                for connection in kept:
                    assert b"[DONE]" in await connection.until(b"0\r\n\r\n")
            await logged(server, "ended by signal 9; another one is started")

    asyncio.run(scene())


def test_workers_whose_parent_is_killed_finish_their_answers_and_leave_the_port(tmp_path: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        async with serve(held(gate)) as one, served(tmp_path, one) as server, on_both(server, each=1) as both:
            port, pids = server.port, list(both)
            for (connection,) in both.values():
                connection.ask(stream=True)
            await one.asked(2)
            server.process.kill()
            await until(lambda: _free(port))
            assert sorted(alive(pids)) == sorted(pids)
            gate.set()
            for (connection,) in both.values():
                assert b"[DONE]" in await connection.until(b"0\r\n\r\n")
            await until(lambda: not alive(pids))
            assert left_behind(tmp_path) == []

    asyncio.run(scene())


def test_an_answer_is_followed_and_cancelled_on_the_other_worker(tmp_path: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        async with serve(held(gate)) as one, served(tmp_path, one) as server, on_both(server) as both:
            (here, here_too), (there, there_too) = both.values()
            first, second = await begun(here), await begun(here_too)
            there.send(f"/v1/chat/completions/{first}?stream=true")
            await there.until(b"one ")
            there_too.send(f"/v1/chat/completions/{second}/cancel", {})
            assert b"HTTP/1.1 200" in await there_too.head()
            assert b"[DONE]" not in await here_too.rest()
            gate.set()
            for reader in (here, there):
                assert b"[DONE]" in await reader.until(b"0\r\n\r\n")

    asyncio.run(scene())


def test_a_reader_elsewhere_is_told_the_end_of_a_killed_workers_stream(tmp_path: Path) -> None:
    """The other worker takes the tape over. Nobody can go on with the words, so that the end is the typed error."""

    async def scene() -> None:
        async with serve(held(asyncio.Event()), DOWN) as one, served(tmp_path, one) as server, on_both(server) as both:
            (dead, (here, _)), (_, (there, _)) = both.items()
            id = await begun(here)
            there.send(f"/v1/chat/completions/{id}?stream=true")
            await there.until(b"one ")
            os.kill(dead, signal.SIGKILL)
            rest = await there.rest()
            assert b'"error"' in rest
            assert b"[DONE]" not in rest

    asyncio.run(scene())


async def begun(connection: Connection) -> str:
    """A stream's id, once its first word is there."""
    connection.ask(stream=True)
    head = await connection.head()
    await connection.until(b"one ")
    return head.partition(b"x-request-id: ")[2].partition(b"\r")[0].decode()


def test_sigterm_lets_the_streams_of_both_finish(tmp_path: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        async with serve(held(gate)) as one, served(tmp_path, one) as server, on_both(server) as both:
            pids = list(both)
            assert len(left_behind(tmp_path)) == 1
            for running, _ in both.values():
                running.ask(stream=True)
            await one.asked(2)
            server.process.send_signal(signal.SIGTERM)
            for _, idle in both.values():  # an open connection is still heard, and told
                while True:
                    idle.send("/health")
                    if json.loads(await idle.whole())["status"] == "draining":
                        break
                idle.ask()
                assert b"HTTP/1.1 503" in await idle.head()
            gate.set()
            for running, _ in both.values():
                assert b"[DONE]" in await running.until(b"0\r\n\r\n")
            assert await asyncio.to_thread(server.process.wait, 20) == 0
            assert not alive(pids)
            assert _free(server.port)
            assert left_behind(tmp_path) == []

    asyncio.run(scene())


def test_a_second_sigint_ends_the_drain_of_all(tmp_path: Path) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        async with serve(held(gate)) as one, served(tmp_path, one) as server, on_both(server, each=1) as both:
            for (running,) in both.values():
                running.ask(stream=True)
            await one.asked(2)
            server.process.send_signal(signal.SIGINT)
            await until(lambda: _free(server.port) or all(len(_listening(pid)) <= 1 for pid in both))
            server.process.send_signal(signal.SIGINT)
            for (running,) in both.values():
                rest = await running.rest()
                assert b'"error"' in rest
                assert b"[DONE]" not in rest
            assert await asyncio.to_thread(server.process.wait, 20) == 0

    asyncio.run(scene())


def test_a_changed_file_is_taken_over_by_all_or_by_none(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serve(answer("old")) as old, serve(answer("new")) as new, served(tmp_path, old) as server:
            async with on_both(server) as both:
                every = [each for some in both.values() for each in some]
                (tmp_path / "riverrun.toml").write_text('[[model]]\nname = "fast"\ntargets = ["nobody/q"]\n')
                server.process.send_signal(signal.SIGHUP)
                await logged(server, "no upstream 'nobody'")
                for connection in every:
                    connection.ask()
                    assert await connection.text() == "old"
                written(tmp_path, new, more="[server]\nheartbeat = 3")
                server.process.send_signal(signal.SIGHUP)
                await logged(server, "the configuration in")
                for connection in every:
                    connection.ask()
                    assert await connection.text() == "new"
                os.kill(next(iter(both)), signal.SIGKILL)
                async with connections(server, 8) as after:  # and the next worker begins with it
                    for connection in after:
                        connection.ask()
                    assert {await connection.text() for connection in after} == {"new"}
            assert sum("nothing of the new" in line for line in server.log) == 1
            assert sum("wait for a restart: server.heartbeat" in line for line in server.log) == 1

    asyncio.run(scene())


def test_the_worst_that_a_worker_knows_is_shown(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serve(DOWN) as down, served(tmp_path, down) as server, on_both(server) as both:
            (one, _), (other, _) = both.values()
            for _ in range(5):
                one.ask()
                assert b"502" in await one.head()
                await one.until(b"}}}")
            other.send("/")
            assert b"a/q open" in await other.whole()
            assert "down (breaker open)" in await asyncio.to_thread(told, tmp_path, server.port)

    asyncio.run(scene())


def test_a_worker_that_cannot_start_ends_the_server_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = tmp_path / "riverrun.toml"
    config.write_text(f'[tapes]\nurl = "file:{tmp_path}/file/tapes"\n[engine]\nmodels = []\n')
    command = [sys.executable, "-m", "riverrun", "serve", "--port", "0", "--workers", "2", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ(tmp_path)}, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{tmp_path}/file" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_address_in_use_is_found_before_anything_starts(tmp_path: Path) -> None:
    async def scene() -> None:
        async with serve(answer("hello")) as one, served(tmp_path, one) as server:
            port = str(server.port)
            command = [sys.executable, "-m", "riverrun", "serve", "--port", port, "--workers", "2"]
            more = {**os.environ, **environ(tmp_path)}
            file = ["--config", str(tmp_path / "riverrun.toml")]
            done = await asyncio.to_thread(subprocess.run, command + file, capture_output=True, text=True, env=more)
            assert done.returncode == 1
            assert "is in use" in done.stderr

    asyncio.run(scene())


def told(folder: Path, port: int) -> str:
    """What `riverrun models` says."""
    command = [sys.executable, "-m", "riverrun", "models", "--port", str(port)]
    more = {**os.environ, **environ(folder), "COLUMNS": "160"}
    return subprocess.run(command, capture_output=True, text=True, env=more, cwd=folder, check=True).stdout


def _listening(pid: int) -> list[int]:
    return [each.fd for each in psutil.Process(pid).net_connections() if each.status == "LISTEN"]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
