"""A worker process: `python -m riverrun.server.workers.worker DESCRIPTOR`. Its parent's line is all that it is given.

It answers on sockets that the parent bound, and ends after its running answers when it is told to, on SIGTERM, or when
the parent is gone: then it leaves the address to whoever comes next.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom

from riverrun.engine import private
from riverrun.engine.errors import ModelError
from riverrun.failures import Failure
from riverrun.server import log
from riverrun.server.build import build
from riverrun.server.garbage import look_seldom
from riverrun.server.host import LOOP_FACTORY, Host, within_files
from riverrun.server.limits import limits_of
from riverrun.server.live import Live
from riverrun.server.sockets import HostError, Listen
from riverrun.server.status import Overview
from riverrun.server.steering import Unsteered
from riverrun.server.workers.borrowing import BorrowedHost, Desk
from riverrun.server.workers.line import Line, LineLost
from riverrun.server.workers.messages import (
    Denied,
    Judge,
    Lent,
    Listening,
    Look,
    Message,
    Setup,
    Stop,
    Take,
    Unable,
    Verdict,
)


def main() -> None:
    """Runs until the end of this worker; exit code 1 where it could not start."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent reads the configuration
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent, which says when to end
    line = socket.socket(fileno=int(sys.argv[1]))
    with asyncio.Runner(loop_factory=LOOP_FACTORY) as runner:
        sys.exit(runner.run(Worker().work(line)))


class ByParent(Unsteered):
    """The parent steers: it lends the engine's slots, judges and gives out configurations, and sees all workers."""

    def __init__(self, setup: Setup, line: Line, desk: Desk) -> None:
        self.environ = setup.environ
        self.started = setup.started
        self._borrowed = {name: BorrowedHost(name, desk) for name in setup.models}
        self.hosts = self._borrowed
        self._line = line

    @asynccontextmanager
    async def steered(self, live: Live, own: Callable[[], Overview]) -> AsyncIterator[None]:
        self._live = live
        self._own = own
        yield

    async def overview(self, own: Overview) -> Overview:
        """As the parent sees all; without it, what is known here."""
        try:
            told = await self._line.ask(Look())
        except LineLost:
            return own
        assert isinstance(told, Overview)
        for each in told.engines:
            self._borrowed[each.name].status = each
        return told

    def answer(self, question: Message) -> Message:
        """To the parent."""
        if isinstance(question, Look):
            return self._own()
        try:
            if isinstance(question, Judge):
                self._live.judge(question.config)
            elif isinstance(question, Take):
                self._live.take()
        except Failure as failure:
            return Verdict(failure.message)
        return Verdict()


class Worker:
    """One process. `work` is all of its life."""

    def __init__(self) -> None:
        self._line = Line(self._heard, self._asked, self._lost)
        self._desk = Desk(self._line.tell)
        self._told = asyncio.Event()  # to end
        self._gone = asyncio.Event()  # the parent, or our line to it
        self._begun: asyncio.Queue[Setup | None] = asyncio.Queue()
        self._steering: ByParent | None = None
        self._host: Host | None = None

    async def work(self, sock: socket.socket) -> int:
        """Returns the exit code."""
        await self._line.over(sock)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._told.set)
        setup = await self._begun.get()
        if setup is None:
            return 0
        log.to_stderr(setup.config.log)
        try:
            self._host = self._built(setup)
            await self._serve(self._host, setup)
        except (Failure, HostError, ModelError, OSError) as error:
            self._line.tell(Unable(str(error)))
            return 1
        finally:
            if self._gone.is_set():
                _tidy(setup)
            self._line.close()
            await self._gone.wait()  # what was told has arrived
        return 0

    def _built(self, setup: Setup) -> Host:
        self._steering = ByParent(setup, self._line, self._desk)
        models = {name: Path(path) for name, path in setup.models.items()}
        app = build(setup.config, models, SystemRandom(), self._steering)
        sockets = [socket.socket(fileno=number) for number in setup.sockets]
        return Host(app, Listen(setup.host, setup.port), within_files(limits_of(setup.config.server)), sockets)

    async def _serve(self, host: Host, setup: Setup) -> None:
        starting = asyncio.create_task(host.start())
        stopping = asyncio.create_task(self._told.wait())
        try:
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return
            starting.result()
            self._line.tell(Listening())
            look_seldom()
            await stopping
            await host.stop(setup.config.server.drain)
        finally:
            for task in (starting, stopping):
                task.cancel()
            await asyncio.wait((starting, stopping))

    def _heard(self, message: Message) -> None:
        if isinstance(message, Lent | Denied):
            self._desk.heard(message)
        elif isinstance(message, Setup):
            self._begun.put_nowait(message)
        elif isinstance(message, Stop):
            self._told.set()
            if message.at_once and self._host is not None:
                self._host.hurry()

    async def _asked(self, question: Message) -> Message:
        if self._steering is None:
            return Verdict("it has not started")
        return self._steering.answer(question)

    def _lost(self) -> None:
        self._gone.set()
        self._begun.put_nowait(None)
        self._desk.close()
        if self._host is not None:
            self._host.deafen()
        self._told.set()


def _tidy(setup: Setup) -> None:
    """The parent was killed, so that the last of its workers removes its private folder."""
    for lock in setup.lock:
        os.close(lock)
    private.sweep(Path(setup.folder).parent)


if __name__ == "__main__":
    main()
