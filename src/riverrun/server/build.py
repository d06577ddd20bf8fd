"""Puts the application together from a configuration: the one place that knows every part."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from random import Random

import msgspec

from riverrun import __version__
from riverrun.backends.upstream import Upstream
from riverrun.config import Config
from riverrun.dialects.languages import languages
from riverrun.engine.backend import Engine
from riverrun.failures import Failure
from riverrun.runs.books import Books
from riverrun.runs.intent import Habits
from riverrun.runs.labels import Labels
from riverrun.runs.metrics import Metrics, Standing
from riverrun.runs.runs import Grant, Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.server import openapi
from riverrun.server.app import App, Route
from riverrun.server.chat import Chat
from riverrun.server.completions import Completions
from riverrun.server.exchange import Exchange
from riverrun.server.guard import Guard
from riverrun.server.health import Health
from riverrun.server.live import Live
from riverrun.server.metrics import MetricsPage
from riverrun.server.models import Models, Names
from riverrun.server.page import Page
from riverrun.server.sockets import Listen, is_loopback
from riverrun.server.status import Overview, Status
from riverrun.server.steering import Steering, Unsteered
from riverrun.store.ledger import ledger as open_ledger
from riverrun.tapes.build import build as build_tapes
from riverrun.tapes.build import room_for
from riverrun.tapes.contract import Tapes

UNSTEERED = Unsteered()


def build(config: Config, models: Mapping[str, Path], random: Random, steering: Steering = UNSTEERED) -> App:
    """The application that serves `models` (name to GGUF file, the first one warmed at the start) and all upstreams.

    Raises Failure for a configuration that can't be used.
    """
    server = config.server
    loopback = is_loopback(Listen(host=server.host))
    live = Live(config, steering.environ, models, loopback=loopback)
    upstream = Upstream(languages(live.rows), random=random)
    engine = Engine(models, config.engine, upstream, hosts=steering.hosts)
    live.runs_local(engine.target)
    upstreams = Upstreams({"engine": engine, "": upstream})
    room = room_for(config.tapes)
    tapes = build_tapes(config.tapes, room, random, time.time)
    ledger = open_ledger(config.store)
    ledger.settle_lost(time.time())

    def standing() -> Standing:
        return Standing(room.tapes, room.used, ledger.waiting, ledger.dropped, upstreams.troubled())

    metrics = Metrics(Labels(lambda: live.answering.table), standing)
    habits = Habits(server.on_disconnect, server.grace, server.join_retries, server.reasoning)
    runs = Runs(live.find, upstreams, random, time.time, tapes, Books(ledger, metrics, time.time), habits)
    status = Status(engine, upstreams)

    def own() -> Overview:
        return status.of(live.answering.table, runs.running)

    async def overview() -> Overview:
        return await steering.overview(own())

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        """At the end whatever still runs is told so, and the engine stops."""
        try:
            async with warming(engine) if steering.hosts is None else nullcontext(), steering.steered(live, own):
                await tapes.open_for(runs)
                yield
        finally:
            await runs.close()
            ledger.close()
            await engine.close()
            upstream.close()

    def drain() -> None:
        runs.draining = True

    guard = Guard(loopback=loopback, hosts=server.hosts, origins=server.origins, keys=live.keys)
    return App(
        {
            **_routes(config, runs, tapes, Names(live, models, steering.started), overview),
            "/metrics": Route({"GET": MetricsPage(metrics, live.keys, live.scrapers)}, public=True),
        },
        guard,
        random,
        life,
        drain,
        runs.interrupt,
        config.log.format,
        metrics.refused,
    )


def _routes(
    config: Config, runs: Runs, tapes: Tapes, names: Names, overview: Callable[[], Awaitable[Overview]]
) -> dict[str, Route]:
    listed = Models(names)
    page = Page(overview, runs, keyed=bool(config.owners))
    description = msgspec.json.encode(openapi.document(__version__))

    async def describe(exchange: Exchange, grant: Grant) -> None:
        await exchange.json(msgspec.Raw(description))

    return {
        **chat_routes(Chat(runs, config.server), tapes),
        "/": Route({"GET": page}, public=True),
        "/health": Route({"GET": Health(overview, runs)}, public=True),
        "/openapi.json": Route({"GET": describe}, public=True),
        "/v1/models": Route({"GET": listed.all}),
        "/v1/models/{name}": Route({"GET": listed.one}),
    }


def chat_routes(chat: Chat, tapes: Tapes) -> dict[str, Route]:
    """Completions: to ask for them, and to come back to them."""
    kept = Completions(chat, tapes)
    return {
        "/v1/chat/completions": Route({"GET": kept.all, "POST": chat}),
        "/v1/chat/completions/{id}": Route({"GET": kept.retrieve, "POST": kept.update, "DELETE": kept.delete}),
        "/v1/chat/completions/{id}/cancel": Route({"POST": kept.cancel}),
        "/v1/chat/completions/{id}/messages": Route({"GET": kept.messages}),
    }


@asynccontextmanager
async def warming(engine: Engine) -> AsyncIterator[None]:
    """Loads the first model beside, so that the first question does not wait for it."""
    task = asyncio.create_task(_warm(engine))
    try:
        yield
    finally:
        task.cancel()


async def _warm(engine: Engine) -> None:
    """A failure is told to whoever asks the model."""
    names = engine.names()
    if names:
        with suppress(Failure):
            await engine.warm(names[0])
