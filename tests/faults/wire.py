"""A TCP proxy that finds another server when one is gone, and that can swallow everything without closing anything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SMALL = 16 * 1024
"""Bytes that the kernel holds for us of what a server sends."""


class Wire:
    """Connects to the first of `targets` (ports) that takes the connection."""

    def __init__(self, *targets: int) -> None:
        self.targets = targets
        self.port = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def swallow(self) -> None:
        """From now on nothing passes in either direction, and nobody is told. New connections are taken."""
        self._passing.clear()

    def swallow_open(self) -> None:
        """The same for the connections that there are; new ones are well."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    def flow(self) -> None:
        self._passing.set()

    def cut(self) -> None:
        """Resets every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for port in self.targets:
            try:
                to_reader, to_writer = await asyncio.open_connection(sock=await _connected(port))
                break
            except OSError:
                continue
        else:
            writer.transport.abort()
            return
        self._writers |= {writer, to_writer}
        passing = self._passing
        for source, sink in ((reader, to_writer), (to_reader, writer)):
            task = asyncio.ensure_future(self._pass(source, sink, passing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        """An end of one side is passed on like bytes, a reset as a reset."""
        try:
            while data := await source.read(65536):
                await passing.wait()
                sink.write(data)
                await sink.drain()
            await passing.wait()
            sink.close()
        except OSError:
            sink.transport.abort()


async def _connected(port: int) -> socket.socket:
    """With a small window, so that what is not passed on is soon felt by who sends it."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def wire(*targets: int) -> AsyncIterator[Wire]:
    """A proxy on a free port."""
    made = Wire(*targets)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
