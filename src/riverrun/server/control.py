"""The control socket: what the owner of a running server may ask it from the same machine.

One line of JSON in (`{"ask": "status"}`), one line out. Only this user reaches it: mode 0600 in a folder of mode 0700.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import socket
import stat
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from riverrun.server.sockets import LONGEST_PATH, Address
from riverrun.server.status import Overview
from riverrun.wire.jsonvalue import JsonObject

server_log = logging.getLogger("riverrun.server")

LONGEST_ASK = 4096
PATIENCE = 2.0
"""Seconds that a server may take to answer on its control socket, and an asker to ask."""

NAME = re.compile(r"[A-Za-z0-9.:_-]{1,40}")
"""A host that can stand in a file's name; the path of a socket is short."""


def folder() -> Path:
    """Where control sockets are: `riverrun` in $XDG_RUNTIME_DIR, or a folder of this user in the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "riverrun" if runtime else Path(tempfile.gettempdir()) / f"riverrun-{os.getuid()}"


def path_of(host: str, port: int) -> Path:
    """The socket of the server that listens on this port of this host; `sockets` finds it without the host."""
    plain = NAME.fullmatch(host) is not None
    return folder() / f"{port}@{host if plain else hashlib.sha256(host.encode()).hexdigest()[:16]}.sock"


def sockets(port: int | None = None) -> list[Path]:
    """The sockets there are, of all servers or of those that listen on this port; some may be of dead ones."""
    return sorted(folder().glob(f"{port}@*.sock" if port is not None else "[0-9]*@*.sock"))


class Control:
    """One server's control socket. `open` and `close` belong to its life; `publish` gives it its name."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._server: asyncio.Server | None = None

    async def open(self, overview: Callable[[], Awaitable[Overview]]) -> None:
        """Listens. A machine without a private folder does without, and the log says so."""
        path = folder() / f"starting-{os.getpid()}.sock"
        try:
            _private(path.parent)
            if len(os.fsencode(path)) > LONGEST_PATH:
                raise OSError("its path is too long for a socket")
            path.unlink(missing_ok=True)
            server = await asyncio.get_running_loop().create_unix_server(lambda: _Asked(overview), str(path))
            path.chmod(0o600)
        except OSError as error:
            server_log.warning("no control socket in %s, so `riverrun models` can't ask: %s", path.parent, error)
            return
        self._path, self._server = path, server

    def publish(self, address: Address) -> None:
        """Takes the name of the address, from a dead server too."""
        if self._path is not None:
            with suppress(OSError):
                self._path = self._path.rename(path_of(address.host, address.port))

    def close(self) -> None:
        if self._server is not None and self._path is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)


class _Asked(asyncio.Protocol):
    """One asker: a line in, a line out."""

    def __init__(self, overview: Callable[[], Awaitable[Overview]]) -> None:
        self._overview = overview
        self._heard = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        line, newline, _ = self._heard.partition(b"\n")
        if newline and self._task is None:
            self._task = asyncio.create_task(self._answer(line))
        elif len(self._heard) > LONGEST_ASK:
            self._transport.abort()

    async def _answer(self, line: bytes) -> None:
        try:
            asked = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            asked = None
        known = asked == {"ask": "status"}
        told: JsonObject = (await self._overview()).told() if known else {"error": 'ask {"ask": "status"}'}
        self._transport.write(msgspec.json.encode(told) + b"\n")
        self._transport.close()


def ask(path: Path) -> JsonObject | None:
    """What the server behind this socket says of itself; None where nobody does, within PATIENCE in all."""
    end = time.monotonic() + PATIENCE
    heard = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.settimeout(PATIENCE)
            line.connect(str(path))
            line.sendall(b'{"ask": "status"}\n')
            while True:
                line.settimeout(max(0.001, end - time.monotonic()))
                piece = line.recv(65536)
                if not piece:
                    return msgspec.json.decode(heard, type=JsonObject)
                heard += piece
                if time.monotonic() > end:
                    return None
        except (OSError, msgspec.DecodeError):
            return None


def _private(place: Path) -> None:
    """The folder, made if it is missing; raises OSError where somebody else could have put something into it."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError("it is not a folder of this user")
    place.chmod(0o700)
