"""Puts the application together from a configuration: the one place that knows every part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import msgspec

from riverrun import __version__
from riverrun.backends.upstream import Upstream
from riverrun.config import Config
from riverrun.dialects.openai import OpenAI
from riverrun.engine import catalogue
from riverrun.engine.backend import Engine
from riverrun.failures import Failure
from riverrun.routing.model import Model, single
from riverrun.runs.run import Outcome
from riverrun.runs.runs import Grant, Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.server import log, openapi
from riverrun.server.app import App, Route
from riverrun.server.chat import Chat
from riverrun.server.exchange import Exchange
from riverrun.server.guard import Guard, Keys
from riverrun.server.health import Health
from riverrun.server.models import Listed, Models
from riverrun.server.page import Page
from riverrun.server.sockets import Listen, is_loopback


def build(config: Config, models: Mapping[str, Path], random: Random) -> App:
    """The application that serves `models` (name to GGUF file, the first one warmed at the start)."""
    upstream = Upstream({"openai": OpenAI()})
    engine = Engine(models, config.engine, upstream)

    def settled(outcome: Outcome, grant: Grant) -> None:
        log.write(log.of_outcome(outcome, grant), config.log.format)

    upstreams = Upstreams({"engine": engine, "": upstream})
    runs = Runs(lambda name: _model(engine, name), upstreams, random, time.time, settled)

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        """Warms the first model beside; at the end whatever still runs is told so, and the engine stops."""
        warming = asyncio.create_task(_warm(engine))
        try:
            yield
        finally:
            warming.cancel()
            runs.interrupt()
            await runs.idle()
            await engine.close()
            upstream.close()

    def drain() -> None:
        runs.draining = True

    server = config.server
    guard = Guard(
        loopback=is_loopback(Listen(host=server.host)),
        hosts=server.hosts,
        origins=server.origins,
        keys=Keys(server.api_keys),
    )
    return App(_routes(config, engine, runs, models), guard, random, life, drain, runs.interrupt, config.log.format)


def _routes(config: Config, engine: Engine, runs: Runs, models: Mapping[str, Path]) -> dict[str, Route]:
    listed = Models({name: Listed(name, int(path.stat().st_mtime)) for name, path in models.items()})
    chat = Chat(runs, config.server)
    page = Page(engine, runs, keyed=bool(config.server.api_keys))
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


def _model(engine: Engine, name: str) -> Model | None:
    """A local model: its target at the engine, with the sampling that its makers advise where the caller gives none."""
    row = catalogue.find(name)
    known = name if name in engine.names() else row.name if row is not None else ""
    if known not in engine.names():
        return None
    sampling = tuple(row.sampling.items()) if row is not None else ()
    return single(msgspec.structs.replace(engine.target(known), sampling=sampling))


async def _warm(engine: Engine) -> None:
    """So that the first question does not wait for the model to load. A failure is told to whoever asks it."""
    names = engine.names()
    if names:
        with suppress(Failure):
            await engine.warm(names[0])
