"""A virtual-time loop whose TCP is in memory, so that servers, clients and upstreams talk without a kernel.

Bytes arrive in order and a turn of the loop later, one `data_received` for each `write`. A close is seen as an end of
the stream, an abort with SO_LINGER as a reset; both after what was written before them. A writer waits only for a
reader that has paused, or that was cut off. Everything happens in the context of whoever opened that end or listened
there, so that a process can be told from its neighbours, and killed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, copy_context
from pathlib import Path
from typing import TypeVar

from tests.virtual import VirtualLoop

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]
Address = tuple[str, int]
Listeners = dict[Address, tuple[Factory, Context]]

FIRST_PORT = 20_000
HIGH_WATER = 64 * 1024
USER_TIMEOUT = 30.0
"""Seconds after which the kernel gives up a connection whose other side takes nothing (TCP_USER_TIMEOUT)."""
RESET = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
TIMED_OUT = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


class _Socket:
    """What code asks of a transport's socket."""

    def __init__(self, mine: Address, theirs: Address) -> None:
        self._mine = mine
        self._theirs = theirs
        self.family = socket.AF_INET
        self.lingers = True  # a close waits for what was written; SO_LINGER with 0 seconds makes it a reset

    def getsockname(self) -> Address:
        return self._mine

    def getpeername(self) -> Address:
        return self._theirs

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        if (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER) and isinstance(value, bytes):
            self.lingers = struct.unpack("ii", value) != (1, 0)


class Transport(asyncio.Transport):
    """One end of a connection. `peer` is the other one, `context` that of the process whose end it is."""

    def __init__(self, loop: MemoryLoop, protocol: asyncio.BaseProtocol, sock: _Socket, context: Context) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()})
        self.peer: Transport
        self.context = context
        self.held = 0
        """Bytes that came and were not read yet."""
        self._cut_off = False
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._waiting = False  # our protocol was told to pause writing
        self._giving_up: asyncio.TimerHandle | None = None
        self._loop = loop
        self._protocol = protocol
        self._sock = sock
        self._closing = False
        self._ended = False  # we have said that no more comes
        self._paused = False
        self._lost = False
        self._inbox: deque[bytes | ConnectionResetError | None] = deque()  # None: the other side has ended

    def connect(self) -> None:
        assert isinstance(self._protocol, asyncio.Protocol)
        self._loop.transports[self] = None
        self.context.run(self._protocol.connection_made, self)

    # What the protocol does with it.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing and not self._ended:
            self.peer.arrive(bytes(data))
            self._judge_reader()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._ended and not self._closing:
            self._ended = True
            self.peer.arrive(None)

    def close(self) -> None:
        if not self._closing:
            self.write_eof()
            self._close(None)

    def abort(self) -> None:
        if not self._closing:
            if self._sock.lingers:
                self.write_eof()
            else:
                self.peer.arrive(RESET)
            self._close(None)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        for _ in self._inbox:
            self._soon()
        self.peer.taken()

    def is_reading(self) -> bool:
        return not self._paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """What is written has arrived, unless nobody reads there."""
        return self.peer.held if self.peer.stuck else 0

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    # What the other end does with it.

    def arrive(self, what: bytes | ConnectionResetError | None) -> None:
        self._inbox.append(what)
        self.held += len(what) if isinstance(what, bytes) else 0
        self._soon()

    @property
    def stuck(self) -> bool:
        """Whether what arrives is not read now."""
        return not self._closing and (self._paused or self._cut_off)

    def taken(self) -> None:
        """The other end has read something, or reads again."""
        if self._waiting and self.get_write_buffer_size() <= self._low and not self._closing:
            self._waiting = False
            self._loop.call_soon(self._protocol.resume_writing, context=self.context)

    def cut_off(self) -> None:
        """From now on nothing passes in either direction, and nobody is told; not even of an end."""
        for end in (self, self.peer):
            end._cut_off = True
            if end.held:
                end.peer._judge_reader()

    def vanish(self) -> None:
        """Its process is gone: nothing of it runs, and the kernel ends the connection."""
        self._loop.transports.pop(self, None)
        if not self._closing:
            self._closing = True
            self.peer.arrive(RESET if self.held else None)
        if self._giving_up is not None:
            self._giving_up.cancel()

    def forget(self) -> None:
        """What is left of its process may run again, and hears that it is gone."""
        self._loop.call_soon(self._lose, None, context=self.context)

    def _judge_reader(self) -> None:
        if self.peer._cut_off and self._giving_up is None:
            self._giving_up = self._loop.call_later(USER_TIMEOUT, self._close, TIMED_OUT, context=self.context)
        if not self._waiting and self.get_write_buffer_size() > self._high:
            self._waiting = True
            self._protocol.pause_writing()

    def _soon(self) -> None:
        self._loop.call_soon(self._read, context=self.context)

    def _read(self) -> None:
        """One arrival a call, as one read from a socket."""
        if self._paused or self._cut_off or self._closing or not self._inbox:
            return
        what = self._inbox.popleft()
        self.held -= len(what) if isinstance(what, bytes) else 0
        assert isinstance(self._protocol, asyncio.Protocol)
        if isinstance(what, bytes):
            self._protocol.data_received(what)
        elif what is None:
            if not self._protocol.eof_received():
                self.close()
        else:
            self._close(what)

    def _close(self, error: OSError | None) -> None:
        self._closing = True
        if self._giving_up is not None:
            self._giving_up.cancel()
        self._loop.call_soon(self._lose, error, context=self.context)

    def _lose(self, error: OSError | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.transports.pop(self, None)
            self._protocol.connection_lost(error)
            self.peer.taken()


class Server:
    """A listener, as far as it is used. `sockets` holds one, that knows its address."""

    def __init__(
        self, network: Listeners, address: Address, factory: Factory, sock: socket.socket | None = None
    ) -> None:
        self._network = network
        self._address = address
        self._sock = sock
        self.sockets = (_Socket(address, address),)
        network[address] = (factory, copy_context())

    def close(self) -> None:
        self._network.pop(self._address, None)
        if self._sock is not None:
            self._sock.close()

    async def wait_closed(self) -> None:
        """Its connections are their protocols' business."""


class MemoryLoop(VirtualLoop):
    """Listeners and connections of one loop find each other by host and port, or by the path of a Unix socket."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: Listeners = {}
        self.transports: dict[Transport, None] = {}
        """The open ones, the oldest first."""
        self._ports = iter(range(FIRST_PORT, 2**16))

    async def create_server(  # type: ignore[override]  # the forms that the code under test uses
        self,
        protocol_factory: Factory,
        host: str | None = None,
        port: int = 0,
        *,
        sock: socket.socket | None = None,
        ssl: ssl.SSLContext | None = None,
        backlog: int = 100,
    ) -> Server:
        assert ssl is None, "there is no TLS in memory"
        address = sock.getsockname() if sock is not None else (host or "127.0.0.1", port or next(self._ports))
        return Server(self.listeners, address, protocol_factory, sock)

    async def create_unix_server(  # type: ignore[override]  # the forms that the code under test uses
        self, protocol_factory: Factory, path: str
    ) -> Server:
        """There is a file at the path, as with any Unix socket, and it means as little."""
        Path(path).touch(exist_ok=False)
        return Server(self.listeners, (path, 0), protocol_factory)

    async def create_connection(  # type: ignore[override]  # the forms that the code under test uses
        self,
        protocol_factory: Factory,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: ssl.SSLContext | None = None,
    ) -> tuple[Transport, asyncio.BaseProtocol]:
        assert ssl is None, "there is no TLS in memory"
        return await self._connected(protocol_factory, (host or "", port or 0))

    async def create_unix_connection(  # type: ignore[override]  # the forms that the code under test uses
        self, protocol_factory: Factory, path: str
    ) -> tuple[Transport, asyncio.BaseProtocol]:
        if not Path(path).exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return await self._connected(protocol_factory, (path, 0))

    async def _connected(self, factory: Factory, theirs: Address) -> tuple[Transport, asyncio.BaseProtocol]:
        await asyncio.sleep(0)
        if theirs not in self.listeners:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        accept, context = self.listeners[theirs]
        mine = ("127.0.0.1", next(self._ports))
        ours = Transport(self, factory(), _Socket(mine, theirs), copy_context())
        other = Transport(self, context.copy().run(accept), _Socket(theirs, mine), context.copy())
        ours.peer, other.peer = other, ours
        other.connect()
        ours.connect()
        return ours, ours.get_protocol()


def run(main: Coroutine[object, object, T]) -> T:
    """Runs a coroutine to its end in virtual time, with the network in memory."""
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(main)
