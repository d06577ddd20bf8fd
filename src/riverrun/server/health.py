"""GET /health: whether it runs, and how each model stands. Holds no secret (SEC14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from riverrun import __version__
from riverrun.runs.runs import Grant, Runs
from riverrun.server.exchange import Exchange
from riverrun.server.status import Overview


class Health:
    """`overview` tells how the whole server stands, whichever of its processes is asked."""

    def __init__(self, overview: Callable[[], Awaitable[Overview]], runs: Runs) -> None:
        self._overview = overview
        self._runs = runs

    async def __call__(self, exchange: Exchange, grant: Grant) -> None:
        overview = await self._overview()
        await exchange.json(
            {
                "status": "draining" if self._runs.draining else "ok",
                "version": __version__,
                "running": overview.running,
                "engine": {
                    "models": [
                        {"name": each.name, "state": each.state, "busy": each.busy, "slots": each.slots}
                        for each in overview.engines
                    ]
                },
            }
        )
