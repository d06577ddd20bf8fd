"""The private Unix socket of a process that owns file tapes: how others hear that a tape has grown, and tell it things.

An asker sends one line of JSON, an Ask. What comes back are lines: `+` there is more in the file, `.` that was all, `?`
it is not ours, `!` and an Ended record as JSON: it can't be written any more. The events are read from the file.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from riverrun.failures import Failure
from riverrun.stream.flow import Ending, Refused
from riverrun.tapes.contract import Following
from riverrun.tapes.own import Own
from riverrun.tapes.records import Ended, told

LONGEST_PATH = 107
"""Bytes of a Unix socket's path on Linux (unix(7))."""

LONGEST_ASK = 4096
PATIENCE = 2.0
"""Seconds that a neighbour may take to answer."""

GROWN, OVER, UNKNOWN, BROKEN = b"+\n", b".\n", b"?\n", b"!"


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the three, with a tape's id."""

    follow: str = ""
    cancel: str = ""
    delete: str = ""


class Owner:
    """Our side of it. `find` gives an own tape that is live; `does` are the other asks: whether it was done."""

    def __init__(self, find: Callable[[str], Own | None], does: Mapping[str, Callable[[str], bool]]) -> None:
        self.find = find
        self.does = does
        self.askers: set[_Asker] = set()
        self.closed = False
        self._server: asyncio.Server | None = None
        self._path = Path()

    async def open(self, folder: Path, name: str) -> str:
        """Listens; returns the path. Raises OSError, with words that can be shown."""
        _private(folder)
        path = folder / f"{name}.sock"
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise OSError(f"the socket path {path} is over {LONGEST_PATH} bytes; set XDG_RUNTIME_DIR to a shorter one")
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Asker(self), str(path))
        path.chmod(0o600)
        self._path = path
        return str(path)

    async def close(self) -> None:
        self.closed = True
        for _ in range(3):  # a connection that was just accepted gets its protocol, which asyncio forgets after close
            await asyncio.sleep(0)
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for asker in tuple(self.askers):
            asker.forsake()
        while self.askers:
            await asyncio.sleep(0)


class _Asker(asyncio.Protocol):
    """One connection: an ask, and then, for a follower, a line for whatever happens to the tape."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._heard = b""
        self._following: Following | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.askers.add(self)
        if self._owner.closed:  # it was accepted before that, and comes here after
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.askers.discard(self)
        if self._following is not None:
            self._following.leave()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        line, newline, _ = self._heard.partition(b"\n")
        if newline and self._following is None:
            self._answer(line)
        elif len(self._heard) > LONGEST_ASK:
            self.cut()

    def cut(self) -> None:
        self._transport.abort()

    def forsake(self) -> None:
        """We go, not the reader: the tape must not hear that it left."""
        self._following = None
        self.cut()

    def frames(self, block: bytes, last: int) -> bool:
        waiting = self._transport.is_closing() or self._transport.get_write_buffer_size()
        if not waiting:  # else a `+` is still to be sent, and says this too
            self._transport.write(GROWN)
        return True

    def ended(self, ending: Ending) -> None:
        self._last(OVER)

    def broke(self, failure: Failure) -> None:
        self._last(BROKEN + msgspec.json.encode(told(Refused(failure), None, 0.0)) + b"\n")

    def _answer(self, line: bytes) -> None:
        try:
            ask = msgspec.json.decode(line, type=Ask)
        except (msgspec.MsgspecError, RecursionError):
            return self.cut()
        tape = self._owner.find(ask.follow) if ask.follow else None
        if tape is None:
            done = [does(id) for name, does in self._owner.does.items() if (id := getattr(ask, name))]
            return self._last(OVER if all(done) else UNKNOWN)
        self._transport.write(GROWN)  # whatever was written before we stood here
        self._following = tape.follow(tape.last, self)
        self._following.more()

    def _last(self, line: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(line)
            self._transport.close()


async def tell(path: str, ask: Ask) -> bool:
    """Whether the process behind this socket did it. False: it is dead, or too slow."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(msgspec.json.encode(ask) + b"\n")
                return await reader.read() == OVER
            finally:
                await _closed(writer)
    except (OSError, TimeoutError):
        return False


async def hear(path: str, id: str, grown: Callable[[], bool]) -> tuple[bool, Failure | None]:
    """Follows a tape at its owner. `grown` is called whenever there may be more in the file; False: enough.

    Returns when the owner says no more or is gone: whether it had the tape, and why it can't be written any more.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False, None
    had, heard = False, b""
    try:
        writer.write(msgspec.json.encode(Ask(follow=id)) + b"\n")
        while data := await reader.read(4096):
            heard = (heard + data).lstrip(GROWN)
            had = had or data != OVER
            if not grown():
                return had, None
            if heard.startswith(BROKEN) and heard.endswith(b"\n"):
                return had, _failure(heard)
    except OSError:
        pass
    finally:
        await _closed(writer)
    return had, None


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _failure(line: bytes) -> Failure | None:
    with suppress(msgspec.MsgspecError):
        ending = msgspec.json.decode(line.removeprefix(BROKEN), type=Ended).ending
        return ending.failure if isinstance(ending, Refused) else None
    return None


def is_socket(path: bytes) -> bool:
    """Whether this, as a lock file says it, can be the path of a socket of ours."""
    return path.endswith(b".sock") and len(path) <= LONGEST_PATH and b"\0" not in path


def private_folder() -> Path:
    """Where sockets are by default: `riverrun` in $XDG_RUNTIME_DIR, or a folder of this user in the temporary one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "riverrun" if runtime else Path(tempfile.gettempdir()) / f"riverrun-{os.getuid()}"


def _private(place: Path) -> None:
    """Makes it if it is missing. Raises OSError where somebody else could have put something into it."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{place} is not a folder of this user")
    place.chmod(0o700)
