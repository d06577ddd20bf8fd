"""Puts the application together from a configuration: the one place that knows every part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import msgspec

from riverrun import __version__
from riverrun.backends.upstream import Upstream
from riverrun.config import Config
from riverrun.dialects.languages import languages
from riverrun.engine.backend import Engine
from riverrun.failures import Failure
from riverrun.runs.runs import Grant, Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.server import openapi
from riverrun.server.app import App, Route
from riverrun.server.chat import Chat
from riverrun.server.exchange import Exchange
from riverrun.server.guard import Guard
from riverrun.server.health import Health
from riverrun.server.live import Live
from riverrun.server.models import Models, Names
from riverrun.server.page import Page
from riverrun.server.reload import Reload
from riverrun.server.sockets import Listen, is_loopback
from riverrun.server.status import Standing, Status
from riverrun.server.steering import Steering


def build(config: Config, models: Mapping[str, Path], random: Random, steering: Steering | None = None) -> App:
    """The application that serves `models` (name to GGUF file, the first one warmed at the start) and all upstreams.

    Without `steering` nothing changes while it runs, and no environment gives keys. Raises Failure for a
    configuration that can't be used.
    """
    server = config.server
    loopback = is_loopback(Listen(host=server.host))
    environ = steering.environ if steering is not None else {}
    live = Live(config, environ, models, loopback=loopback)
    upstream = Upstream(languages(live.rows))
    engine = Engine(models, config.engine, upstream)
    live.local.target = engine.target
    upstreams = Upstreams({"engine": engine, "": upstream})
    runs = Runs(live.find, upstreams, random, time.time, server.reasoning)
    status = Status(engine, upstreams)

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        """Warms the first model beside; at the end whatever still runs is told so, and the engine stops."""
        warming = asyncio.create_task(_warm(engine))
        try:
            async with _steered(steering, live, status):
                yield
        finally:
            warming.cancel()
            runs.interrupt()
            await runs.idle()
            await engine.close()
            upstream.close()

    def drain() -> None:
        runs.draining = True

    guard = Guard(loopback=loopback, hosts=server.hosts, origins=server.origins, keys=live.keys)
    return App(
        _routes(config, engine, runs, Names(live, models), lambda: status.of(live.answering.table)),
        guard,
        random,
        life,
        drain,
        runs.interrupt,
        config.log.format,
    )


@asynccontextmanager
async def _steered(steering: Steering | None, live: Live, status: Status) -> AsyncIterator[None]:
    """While it lasts, a changed file and SIGHUP take effect, and the control socket answers."""
    if steering is None:
        yield
        return
    reload = Reload(steering.file, steering.again, live.apply) if steering.file is not None else None
    await steering.control.open(lambda: status.told(live.answering.table))
    if reload is not None:
        reload.start()
    try:
        yield
    finally:
        steering.control.close()
        if reload is not None:
            reload.stop()


def _routes(
    config: Config, engine: Engine, runs: Runs, names: Names, standing: Callable[[], list[Standing]]
) -> dict[str, Route]:
    listed = Models(names)
    chat = Chat(runs, config.server)
    page = Page(standing, runs, keyed=bool(config.server.api_keys))
    description = msgspec.json.encode(openapi.document(__version__))

    async def describe(exchange: Exchange, grant: Grant) -> None:
        await exchange.json(msgspec.Raw(description))

    return {
        "/": Route({"GET": page}, public=True),
        "/health": Route({"GET": Health(engine, runs)}, public=True),
        "/openapi.json": Route({"GET": describe}, public=True),
        "/v1/models": Route({"GET": listed.all}),
        "/v1/models/": Route({"GET": listed.one}),
        "/v1/chat/completions": Route({"POST": chat}),
    }


async def _warm(engine: Engine) -> None:
    """So that the first question does not wait for the model to load. A failure is told to whoever asks it."""
    names = engine.names()
    if names:
        with suppress(Failure):
            await engine.warm(names[0])
