"""The control socket: what the owner of a running server may ask it from the same machine.

One line of JSON in (`{"ask": "status"}`), one line out. Only this user reaches it: mode 0600 in a folder of mode 0700.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from riverrun.server.sockets import LONGEST_PATH
from riverrun.wire.jsonvalue import JsonObject

server_log = logging.getLogger("riverrun.server")

LONGEST_ASK = 4096
PATIENCE = 2.0
"""Seconds that a server may take to answer on its control socket, and an asker to ask."""


def folder() -> Path:
    """Where control sockets are: `riverrun` in $XDG_RUNTIME_DIR, or a folder of this user in the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "riverrun" if runtime else Path(tempfile.gettempdir()) / f"riverrun-{os.getuid()}"


def path_of(port: int) -> Path:
    """The socket of the server that listens on this port."""
    return folder() / f"{port}.sock"


class Control:
    """One server's control socket. `open` and `close` belong to its life; `publish` gives it its name."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._server: asyncio.Server | None = None

    async def open(self, status: Callable[[], JsonObject]) -> None:
        """Listens. A machine without a private folder does without, and the log says so."""
        path = folder() / f"starting-{os.getpid()}.sock"
        try:
            _private(path.parent)
            if len(os.fsencode(path)) > LONGEST_PATH:
                raise OSError("its path is too long for a socket")
            path.unlink(missing_ok=True)
            server = await asyncio.get_running_loop().create_unix_server(lambda: _Asked(status), str(path))
            path.chmod(0o600)
        except OSError as error:
            server_log.warning("no control socket in %s, so `riverrun models` can't ask: %s", path.parent, error)
            return
        self._path, self._server = path, server

    def publish(self, port: int) -> None:
        """Takes the name of the port, from a dead server too."""
        if self._path is not None:
            with suppress(OSError):
                self._path = self._path.rename(path_of(port))

    def close(self) -> None:
        if self._server is not None and self._path is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)


class _Asked(asyncio.Protocol):
    """One asker: a line in, a line out."""

    def __init__(self, status: Callable[[], JsonObject]) -> None:
        self._status = status
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        line, newline, _ = self._heard.partition(b"\n")
        if newline:
            self._transport.write(msgspec.json.encode(self._answer(line)) + b"\n")
            self._transport.close()
        elif len(self._heard) > LONGEST_ASK:
            self._transport.abort()

    def _answer(self, line: bytes) -> JsonObject:
        try:
            asked = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            asked = None
        if asked == {"ask": "status"}:
            return self._status()
        return {"error": 'ask {"ask": "status"}'}


def ask(path: Path) -> JsonObject | None:
    """What the server behind this socket says of itself; None where no server listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(PATIENCE)
        try:
            line.connect(str(path))
            line.sendall(b'{"ask": "status"}\n')
            heard = b"".join(iter(lambda: line.recv(65536), b""))
            return msgspec.json.decode(heard, type=JsonObject)
        except (OSError, msgspec.DecodeError):
            return None


def _private(place: Path) -> None:
    """The folder, made if it is missing; raises OSError where somebody else could have put something into it."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError("it is not a folder of this user")
    place.chmod(0o700)
