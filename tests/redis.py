"""A Redis (or Valkey) of the tests' own: on a Unix socket or a free port, killed, frozen and started again at will."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
START_LIMIT = 20.0

needs_redis = pytest.mark.skipif(PROGRAM is None, reason="neither redis-server nor valkey-server is installed")


class RedisServer:
    """`durable`: what it acknowledged is there again after it was killed. It listens on `port` and on `socket`."""

    def __init__(self, folder: Path, durable: bool = False) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.port = _free_port()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def tcp(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        assert PROGRAM is not None
        self.socket.unlink(missing_ok=True)
        settings = {
            "dir": self.folder,
            "unixsocket": self.socket,
            "port": self.port,
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
        }
        words = [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + START_LIMIT
        while self.command("PING") != b"+PONG":
            assert self._process.poll() is None, "redis-server did not start"
            assert time.monotonic() < limit, "redis-server gives no answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """Kills it, frozen or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """The first line of its answer; empty where it is not there."""
        try:
            with socket.socket(socket.AF_UNIX) as plain:
                plain.settimeout(START_LIMIT)
                plain.connect(str(self.socket))
                plain.sendall(b"*%d\r\n" % len(words))
                for word in words:
                    plain.sendall(b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode()))
                return plain.recv(65536).partition(b"\r\n")[0]
        except OSError:
            return b""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@contextmanager
def redis_server(durable: bool = False) -> Iterator[RedisServer]:
    """A running server, empty."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), durable)
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
