"""One worker process as its parent sees it, from its start to its end. It is never started again."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from riverrun.config import Config
from riverrun.engine.backend import Hosting
from riverrun.server.sockets import HostError
from riverrun.server.workers.lending import Lender
from riverrun.server.workers.line import Line
from riverrun.server.workers.messages import Doubt, GiveBack, Listening, Message, Setup, Stop, Unable, Want

log = logging.getLogger("riverrun.server")

MODULE = "riverrun.server.workers.worker"


class Member:
    """`start`, then `listening`, then `gone`. `config` is the one that holds in it."""

    def __init__(self, number: int, config: Config) -> None:
        self.number = number
        self.config = config
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(
        cls,
        setup: Setup,
        environ: Mapping[str, str],
        hosts: Mapping[str, Hosting],
        asked: Callable[[Message], Awaitable[Message]],
    ) -> Member:
        """Starts the process and tells it what to be. Raises OSError."""
        member = cls(setup.number, setup.config)
        member.line = Line(member._heard, asked, member._lost)
        member._lender = Lender(hosts, member.line.tell)
        ours, theirs = socket.socketpair()
        try:
            member._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a module that happens to lie in this folder is none of ours
                "-m",
                MODULE,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *setup.sockets, *setup.lock),
                env=environ,
                start_new_session=True,  # a Ctrl-C at the terminal is for the parent, which says when to end
            )
            ours.setblocking(False)
            await member.line.over(ours)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        member.line.tell(setup)
        return member

    line: Line
    _lender: Lender
    _process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def up(self) -> bool:
        """It takes requests."""
        return self._up.done() and not self._up.cancelled() and self._up.exception() is None

    async def listening(self) -> None:
        """Returns when it takes requests. Raises HostError, with its reason where it gave one."""
        await asyncio.shield(self._up)

    async def gone(self) -> str:
        """Returns when it has ended, with how."""
        code = await self._process.wait()
        return f"signal {-code}" if code < 0 else f"status {code}"

    def stop(self, *, at_once: bool = False) -> None:
        """Asks it to end."""
        self.line.tell(Stop(at_once))

    def kill(self) -> None:
        """Ends it where it does not end by itself."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def _heard(self, message: Message) -> None:
        if isinstance(message, Want | GiveBack | Doubt):
            self._lender.heard(message)
        elif isinstance(message, Listening) and not self._up.done():
            self._up.set_result(None)
        elif isinstance(message, Unable) and not self._up.done():
            self._up.set_exception(HostError(message.reason))
        elif isinstance(message, Unable):
            log.error("worker %d could not end as it should: %s", self.number, message.reason)

    def _lost(self) -> None:
        self._lender.close()
        if not self._up.done():
            self._up.set_exception(HostError(f"Worker {self.number} ended before it was ready; see the log above."))
        self._up.exception()  # nobody may wait for it any more
