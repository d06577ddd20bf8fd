"""A small application and raw connections, for what the host does around any application."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

from riverrun.failures import Failure
from riverrun.server.asgi import Receive, Scope, Send
from riverrun.server.exchange import Exchange
from riverrun.server.host import LOOP_FACTORY, running
from riverrun.server.limits import HostLimits
from riverrun.server.sockets import Address, Listen
from riverrun.server.stream import Stream

PATIENCE = 10.0
"""Seconds that a test waits for something that should come at once."""

Result = TypeVar("Result")
Surface = Callable[[Stream], Awaitable[None]]


def run(main: Coroutine[None, None, Result], loop: Callable[[], asyncio.AbstractEventLoop] = LOOP_FACTORY) -> Result:
    """As `asyncio.run`, on the loop that the server uses."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


class Echo:
    """Answers with method, path and the body's length; under /stream it hands the way out to `surface`."""

    def __init__(self, surface: Surface | None = None) -> None:
        self.seen: list[str] = []
        self.surface = surface
        self.drained = False
        self.life: list[str] = []
        self.left = asyncio.Event()  # a request's client went while its body was awaited

    def drain(self) -> None:
        self.drained = True

    def interrupt(self) -> None:
        pass

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._live(receive, send)

    async def answer(self, exchange: Exchange) -> None:
        self.seen.append(f"{exchange.method} {exchange.path}")
        if exchange.path.startswith("/stream") and self.surface is not None:
            await self.surface(exchange.stream())
            return
        if exchange.path == "/broken":
            raise ZeroDivisionError("a bug of the application")
        try:
            size = len(await exchange.body(1 << 30))
        except Failure:
            self.left.set()
            return
        await exchange.answer(200, f"{exchange.method} {exchange.path} {size}".encode(), [])

    async def _live(self, receive: Receive, send: Send) -> None:
        for _ in range(2):
            event = str((await receive())["type"])
            self.life.append(event)
            await send({"type": f"{event}.complete"})


class Wire:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def until(self, mark: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readuntil(mark)

    async def answer(self) -> tuple[int, bytes]:
        """One response that has a content-length: status and body."""
        head = await self.until(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        async with asyncio.timeout(PATIENCE):
            return int(head[9:12]), await self.reader.readexactly(int(length.partition(b":")[2]))


@asynccontextmanager
async def wire(address: Address) -> AsyncIterator[Wire]:
    if address.uds is not None:
        reader, writer = await asyncio.open_unix_connection(address.uds)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port, limit=1 << 24)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def serving(app: Echo, limits: HostLimits | None = None, uds: str | None = None) -> AsyncIterator[Address]:
    async with running(app, Listen(port=0, uds=uds), limits or HostLimits(linger=0.2)) as address:
        yield address


async def say(address: Address, data: bytes) -> bytes:
    """Sends the bytes, and returns all that comes back until the server closes."""
    async with wire(address) as line:
        line.send(data)
        return await line.rest()
