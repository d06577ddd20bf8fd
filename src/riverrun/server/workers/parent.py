"""The parent of several workers: it has the address, the engine, the control socket and the configuration.

It answers no request itself. Workers borrow the engine's slots from it, so that one model in memory serves them all.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from socket import socket
from tempfile import gettempdir

import msgspec
from prometheus_client import multiprocess

from riverrun.backends.upstream import Upstream
from riverrun.config import Config
from riverrun.config.tapes import TapesUrl
from riverrun.dialects.languages import languages
from riverrun.dialects.rows import ROWS
from riverrun.engine.backend import Engine
from riverrun.engine.private import PrivateFolder
from riverrun.runs.metrics import FOLDER
from riverrun.runs.upstreams import Upstreams
from riverrun.server.build import warming
from riverrun.server.host import LOOP_FACTORY, refuse_open, told_to_end
from riverrun.server.live import Live
from riverrun.server.sockets import Address, Listen, bind_all, is_loopback
from riverrun.server.status import Overview, Status
from riverrun.server.steering import Owner
from riverrun.server.workers.crew import Crew
from riverrun.server.workers.member import Member
from riverrun.server.workers.messages import Look, Message, Setup, Verdict

log = logging.getLogger("riverrun.server")


def serve(
    config: Config,
    models: Mapping[str, Path],
    owner: Owner,
    variables: Mapping[str, Sequence[str]],
    *,
    ready: Callable[[Address], None],
) -> None:
    """Serves with `config.server.workers` processes until SIGTERM or SIGINT, as `host.serve` does with one.

    `variables` are those of the environment that the configuration uses, by the place of a setting. Raises HostError
    or Failure, one line for the user.
    """
    listen = Listen(config.server.host, config.server.port)
    refuse_open(listen, has_keys=bool(config.owners))
    with ExitStack() as stack:
        folder = PrivateFolder(Path(gettempdir()))  # not in the runtime folder: that is small, and tapes may be large
        stack.callback(folder.remove)
        parent = Parent(config, models, owner, folder, plain(os.environ, variables))
        every, address = bind_all(listen, config.server.workers)
        for sock in (sock for sockets in every for sock in sockets):
            stack.callback(sock.close)
        runner = stack.enter_context(asyncio.Runner(loop_factory=LOOP_FACTORY))
        runner.run(parent.serve(every, address, lambda: ready(address)))


def plain(environ: Mapping[str, str], variables: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What of the environment a worker begins with: no key that riverrun knows of. Those travel on the private line."""
    keys = {"RIVERRUN_API_KEY", *(name for names in variables.values() for name in names)}
    keys |= {name for row in ROWS.values() for name in row.env}
    return {name: value for name, value in environ.items() if name not in keys}


def shared(config: Config, folder: Path) -> Config:
    """The configuration for several workers: tapes that only one process could read are kept in the private folder."""
    if config.tapes.url.kind != "memory":
        return config
    tapes = msgspec.structs.replace(config.tapes, url=TapesUrl(f"file:{folder / 'tapes'}"))
    return msgspec.structs.replace(config, tapes=tapes)


class Parent:
    """Judges the configuration as a worker will. Raises Failure for one that can't be used."""

    def __init__(
        self,
        config: Config,
        models: Mapping[str, Path],
        owner: Owner,
        folder: PrivateFolder,
        environ: Mapping[str, str],
    ) -> None:
        self._config = shared(config, folder.path)
        self._moved = self._config is not config  # its tapes
        self._models = models
        self._owner = owner
        self._folder = folder
        self._metrics = folder.path / "metrics"
        self._metrics.mkdir()
        self._environ = {**environ, FOLDER: str(self._metrics)}
        self._started = int(time.time())
        loopback = is_loopback(Listen(host=config.server.host))
        self._live = Live(self._config, owner.environ, models, loopback=loopback)
        upstream = Upstream(languages(self._live.rows))
        self._engine = Engine(models, config.engine, upstream)
        self._live.runs_local(self._engine.target)
        self._status = Status(self._engine, Upstreams({"engine": self._engine, "": upstream}))

    async def serve(self, sockets: list[list[socket]], address: Address, ready: Callable[[], None]) -> None:
        """All of its life. `ready` is called once every worker takes requests."""

        async def begin(number: int, config: Config) -> Member:
            return await self._begin(number, config, sockets[number], address)

        self._crew = Crew(len(sockets), self._config, begin, self._died)
        if self._moved:
            log.info("workers share their tapes: they are kept in files, in a private folder, until the server ends")
        told = told_to_end(self._crew.hurry)
        try:
            async with warming(self._engine), self._owner.watching(self._apply, self._overview):
                await self._run(told, ready)
                for sock in (sock for each in sockets for sock in each):
                    sock.close()  # from now on an address lives as long as its worker
                await self._crew.stop(self._config.server.drain)
        except BaseException:  # whatever it is, no worker is left behind
            self._crew.hurry()
            await self._crew.stop(0.0)
            raise
        finally:
            await self._engine.close()

    async def _run(self, told: asyncio.Event, ready: Callable[[], None]) -> None:
        """Until it is told to end. Raises HostError where a worker can't start."""
        ending = asyncio.create_task(told.wait())
        up = asyncio.create_task(self._up(ready))
        try:
            await asyncio.wait((ending, up), return_when=asyncio.FIRST_COMPLETED)
            if up.done():
                up.result()
        finally:
            for task in (ending, up):
                task.cancel()
            await asyncio.wait((ending, up))

    async def _up(self, ready: Callable[[], None]) -> None:
        await self._crew.start()
        ready()
        await self._crew.broken()

    async def _begin(self, number: int, config: Config, sockets: Sequence[socket], address: Address) -> Member:
        setup = Setup(
            number,
            tuple(sock.fileno() for sock in sockets),
            address.host,
            address.port,
            config,
            {name: str(path) for name, path in self._models.items()},
            dict(self._owner.environ),
            self._started,
            str(self._folder.path),
            self._folder.lock,
        )
        return await Member.start(setup, self._environ, self._engine.hosts, self._asked)

    async def _apply(self, config: Config) -> list[str]:
        config = shared(config, self._folder.path)
        self._live.judge(config)
        await self._crew.take_over(config)
        return self._live.take()

    async def _asked(self, question: Message) -> Message:
        return await self._overview() if isinstance(question, Look) else Verdict("a parent is asked nothing else")

    async def _overview(self) -> Overview:
        return await self._crew.overview(self._status.of(self._live.answering.table, 0))

    def _died(self, process: int) -> None:
        multiprocess.mark_process_dead(process, str(self._metrics))  # type: ignore[no-untyped-call]  # it has no types
