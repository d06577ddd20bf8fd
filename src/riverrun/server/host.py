"""The process around the application: sockets, the loop, signals, and an end that loses nobody's answer.

Starts what it is given and knows no route of it. An address that can't be had is a HostError before anything starts.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from riverrun.server.asgi import Receive, Scope, Send
from riverrun.server.exchange import Exchange
from riverrun.server.garbage import look_seldom
from riverrun.server.lifespan import Lifespan
from riverrun.server.limits import HostLimits
from riverrun.server.lines import header_lines
from riverrun.server.protocol import Connection
from riverrun.server.serving import Serving
from riverrun.server.sockets import (
    ENOUGH_FILES,
    Address,
    HostError,
    Listen,
    bind,
    is_loopback,
    raise_file_limit,
)

logger = logging.getLogger("riverrun.server")

BACKLOG = 2048
"""Connections the kernel holds for us while the loop is busy; it uses less where `net.core.somaxconn` is smaller."""

STOP_TIME = 10.0
"""Seconds that the application may take to stop once no answer is under way: an engine child has to die."""

LOOK_TIME = 0.05
"""Seconds between two looks at whether the last answers have been taken."""

TELL_TIME = 1.0
"""Seconds for the last words to answers that are cut at the end of a drain."""

LOOP_FACTORY: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
try:
    import uvloop
except ImportError:  # not on every platform
    pass
else:
    LOOP_FACTORY = uvloop.new_event_loop


class Application(Protocol):
    """It answers requests, lives by the ASGI lifespan protocol, and can be told that the end is near."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Its life; it is called with no other scope."""

    async def answer(self, exchange: Exchange) -> None:
        """Answers one request. What it leaves undone, or raises, becomes a 500 or a cut."""

    def drain(self) -> None:
        """From now on new work is answered 503 with Retry-After; what runs goes on."""

    def interrupt(self) -> None:
        """The time for what still runs is over: its readers are told so, and it ends."""


class Host:
    """One server in the running loop. `start`, then `stop`; `running` does both."""

    def __init__(
        self, app: Application, listen: Listen, limits: HostLimits, sockets: list[socket.socket] | None = None
    ) -> None:
        """`sockets` are bound to `listen` already; None: they are made at the start."""
        self._bound = sockets
        self.app = app
        self.listen = listen
        self.state = Serving(app.answer, limits)
        self._lifespan = Lifespan(app)
        self._servers: list[asyncio.Server] = []
        self._clock: asyncio.TimerHandle | None = None
        self._hurry = asyncio.Event()

    async def start(self) -> Address:
        """Binds, starts the application, then listens. Raises HostError, or what the application raised."""
        if self._bound is not None:
            sockets, address = self._bound, Address(self.listen.host, self.listen.port)
        else:
            sockets, address = bind(self.listen)
        try:
            await self._lifespan.start()
            await self._accept(sockets)
        except BaseException:
            self._close(sockets)
            raise
        return address

    async def _accept(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        self._tell_time()
        try:
            for sock in sockets:
                self._servers.append(
                    await loop.create_server(partial(Connection, self.state), sock=sock, backlog=BACKLOG)
                )
        except OSError as error:  # another server bound the same address at the same moment, and was first
            await self._lifespan.stop(STOP_TIME)
            raise HostError(f"Can't listen on {self.listen.host} port {self.listen.port}: {error.strerror}.") from None

    async def stop(self, drain: float) -> None:
        """Running answers get `drain` seconds, while new requests are still heard and refused; then all ends."""
        self.app.drain()
        try:
            await self._drained(drain)
        finally:
            self.app.interrupt()
            if self.state.tasks:
                await asyncio.wait(set(self.state.tasks.values()), timeout=TELL_TIME)
            self._close([])
            for connection in list(self.state.connections):
                connection.shutdown()
            for task in list(self.state.tasks.values()):
                task.cancel()
            if self.state.tasks:
                await asyncio.wait(set(self.state.tasks.values()), timeout=STOP_TIME)
            await self._lifespan.stop(STOP_TIME)

    def deafen(self) -> None:
        """Takes no new connection, so that another server may have the address."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    def hurry(self) -> None:
        """Ends a drain at once."""
        self._hurry.set()

    async def _drained(self, seconds: float) -> None:
        hurried = asyncio.create_task(self._hurry.wait())
        try:
            async with asyncio.timeout(seconds):
                while self.state.tasks and not hurried.done():
                    await asyncio.wait({hurried, *self.state.tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
                while self.state.sending and not hurried.done():
                    await asyncio.wait({hurried}, timeout=LOOK_TIME)
        except TimeoutError:
            logger.warning("after %g s of draining answers still ran, and end here: %d", seconds, len(self.state.tasks))
        finally:
            hurried.cancel()

    def _tell_time(self) -> None:
        """The Date header changes once a second."""
        self.state.defaults = header_lines([(b"date", formatdate(usegmt=True).encode("ascii"))])
        self._clock = asyncio.get_running_loop().call_later(1.0, self._tell_time)

    def _close(self, sockets: list[socket.socket]) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self.deafen()
        for sock in sockets:
            sock.close()
        if self.listen.uds is not None:
            Path(self.listen.uds).unlink(missing_ok=True)


@asynccontextmanager
async def running(
    app: Application, listen: Listen | None = None, limits: HostLimits | None = None, *, drain: float = 0.0
) -> AsyncIterator[Address]:
    """The application served in the running loop, on any free port by default; no signals, no limits of the process."""
    host = Host(app, listen or Listen(port=0), limits or HostLimits())
    address = await host.start()
    try:
        yield address
    finally:
        await host.stop(drain)


def serve(
    app: Application,
    listen: Listen,
    limits: HostLimits,
    *,
    has_keys: bool,
    drain: float = 30.0,
    ready: Callable[[Address], None],
) -> None:
    """Serves until SIGTERM or SIGINT, drains for at most `drain` seconds, and returns; a second SIGINT ends the drain.

    Raises HostError (one line for the user), or what the application raised at its start.
    """
    refuse_open(listen, has_keys=has_keys)
    capped = within_files(limits)
    with asyncio.Runner(loop_factory=LOOP_FACTORY) as runner:
        runner.run(_serve(app, listen, capped, drain, ready))


def refuse_open(listen: Listen, *, has_keys: bool) -> None:
    """Raises HostError where everybody could reach a server that lets everybody in."""
    if not has_keys and not is_loopback(listen):
        raise HostError(
            f"Refusing to listen on {listen.host} without API keys: everyone who reaches this machine could use it. "
            "Give a key with --api-key or RIVERRUN_API_KEY, or listen on 127.0.0.1."
        )


def within_files(limits: HostLimits) -> HostLimits:
    """The limits of this process, whose limit of open files is raised as far as it goes."""
    files = raise_file_limit()
    if files < ENOUGH_FILES:
        logger.warning("Only %d open files are allowed, so few connections are. Raise it with `ulimit -n`.", files)
    return msgspec.structs.replace(limits, connections=min(limits.connections, max(1, files * 8 // 10)))


def told_to_end(hurry: Callable[[], None]) -> asyncio.Event:
    """Set by SIGTERM or SIGINT; a SIGINT after that hurries."""
    told = asyncio.Event()

    def asked(number: int) -> None:
        if told.is_set() and number == signal.SIGINT:
            hurry()
        told.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked, number)
    return told


async def _serve(
    app: Application, listen: Listen, limits: HostLimits, drain: float, ready: Callable[[Address], None]
) -> None:
    host = Host(app, listen, limits)
    told = told_to_end(host.hurry)
    starting = asyncio.create_task(host.start())
    stopping = asyncio.create_task(told.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return  # asked to stop before it was up
        ready(starting.result())
        look_seldom()
        await stopping
        await host.stop(drain)
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.wait((starting, stopping))
