"""A virtual-time loop whose TCP is in memory, so that servers, clients and upstreams talk without a kernel.

Bytes arrive in order and a turn of the loop later, one `data_received` for each `write`. A close is seen as an end of
the stream, an abort with SO_LINGER as a reset; both after what was written before them. Nothing is ever full.
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
from typing import TypeVar

from tests.virtual import VirtualLoop

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]
Address = tuple[str, int]

FIRST_PORT = 20_000
RESET = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


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
    """One end of a connection. `peer` is the other one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, sock: _Socket) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()})
        self.peer: Transport
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
        self._protocol.connection_made(self)

    # What the protocol does with it.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing and not self._ended:
            self.peer.arrive(bytes(data))

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
        self._soon()

    def is_reading(self) -> bool:
        return not self._paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here: what is written has arrived."""

    def get_write_buffer_size(self) -> int:
        return 0

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    # What the other end does with it.

    def arrive(self, what: bytes | ConnectionResetError | None) -> None:
        self._inbox.append(what)
        self._soon()

    def _soon(self) -> None:
        self._loop.call_soon(self._read)

    def _read(self) -> None:
        """One arrival a call, as one read from a socket."""
        if self._paused or self._closing or not self._inbox:
            return
        what = self._inbox.popleft()
        assert isinstance(self._protocol, asyncio.Protocol)
        if isinstance(what, bytes):
            self._protocol.data_received(what)
        elif what is None:
            if not self._protocol.eof_received():
                self.close()
        else:
            self._close(what)

    def _close(self, error: ConnectionResetError | None) -> None:
        self._closing = True
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: ConnectionResetError | None) -> None:
        if not self._lost:
            self._lost = True
            self._protocol.connection_lost(error)


class Server:
    """A listener, as far as it is used. `sockets` holds one, that knows its address."""

    def __init__(
        self, network: dict[Address, Factory], address: Address, factory: Factory, sock: socket.socket | None
    ) -> None:
        self._network = network
        self._address = address
        self._sock = sock
        self.sockets = (_Socket(address, address),)
        network[address] = factory

    def close(self) -> None:
        self._network.pop(self._address, None)
        if self._sock is not None:
            self._sock.close()

    async def wait_closed(self) -> None:
        """Its connections are their protocols' business."""


class MemoryLoop(VirtualLoop):
    """Listeners and connections of one loop find each other by host and port."""

    def __init__(self) -> None:
        super().__init__()
        self._network: dict[Address, Factory] = {}
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
        return Server(self._network, address, protocol_factory, sock)

    async def create_connection(  # type: ignore[override]  # the forms that the code under test uses
        self,
        protocol_factory: Factory,
        host: str | None = None,
        port: int | None = None,
        *,
        ssl: ssl.SSLContext | None = None,
    ) -> tuple[Transport, asyncio.BaseProtocol]:
        assert ssl is None, "there is no TLS in memory"
        theirs = (host or "", port or 0)
        await asyncio.sleep(0)
        if theirs not in self._network:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        mine = ("127.0.0.1", next(self._ports))
        ours = Transport(self, protocol_factory(), _Socket(mine, theirs))
        other = Transport(self, self._network[theirs](), _Socket(theirs, mine))
        ours.peer, other.peer = other, ours
        other.connect()
        ours.connect()
        return ours, ours.get_protocol()


def run(main: Coroutine[object, object, T]) -> T:
    """Runs a coroutine to its end in virtual time, with the network in memory."""
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(main)
