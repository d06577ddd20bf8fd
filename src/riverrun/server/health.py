"""GET /health: whether it runs, and how each model stands. Holds no secret (SEC14)."""

from __future__ import annotations

from riverrun import __version__
from riverrun.engine.backend import Engine
from riverrun.runs.runs import Grant, Runs
from riverrun.server.exchange import Exchange


class Health:
    def __init__(self, engine: Engine, runs: Runs) -> None:
        self._engine = engine
        self._runs = runs

    async def __call__(self, exchange: Exchange, grant: Grant) -> None:
        await exchange.json(
            {
                "status": "draining" if self._runs.draining else "ok",
                "version": __version__,
                "running": self._runs.running,
                "engine": {
                    "models": [
                        {"name": each.name, "state": each.state, "busy": each.busy, "slots": each.slots}
                        for each in self._engine.status()
                    ]
                },
            }
        )
