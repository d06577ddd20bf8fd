"""GET /v1/models and /v1/models/{id}: the models that answer here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.runs.runs import Grant
from riverrun.server.exchange import Exchange
from riverrun.server.live import Live


class Listed(msgspec.Struct, frozen=True):
    """One model. `created` is when it came to this machine, in Unix seconds."""

    id: str
    created: int
    owned_by: str = "riverrun"
    object: str = "model"


class Names(Mapping[str, Listed]):
    """The models that answer now, by name. Names that stand for many (`openai/*`) are found, and not listed."""

    def __init__(self, live: Live, files: Mapping[str, Path], started: int | None = None) -> None:
        """`files` are those of this machine's models; a model elsewhere is as old as this server, which `started` then
        (Unix seconds; None: now)."""
        self._live = live
        self._created = {name: int(path.stat().st_mtime) for name, path in files.items()}
        self._started = started if started is not None else int(time.time())

    def __getitem__(self, name: str) -> Listed:
        if self._live.find(name) is None:
            raise KeyError(name)
        return Listed(name, self._created.get(name, self._started))

    def __iter__(self) -> Iterator[str]:
        return iter(self._live.answering.table.names())

    def __len__(self) -> int:
        return len(self._live.answering.table.names())


class Models:
    """`served` are the models by name, in order of preference."""

    def __init__(self, served: Mapping[str, Listed]) -> None:
        self._served = served

    async def all(self, exchange: Exchange, grant: Grant) -> None:
        await exchange.json({"object": "list", "data": [msgspec.to_builtins(each) for each in self._served.values()]})

    async def one(self, exchange: Exchange, grant: Grant) -> None:
        name = exchange.path.removeprefix("/v1/models/")
        model = self._served.get(name)
        if model is None:
            raise Failure(
                Cause.UNKNOWN_MODEL,
                f"The model '{name}' does not exist or you do not have access to it. GET /v1/models lists them all.",
                param="model",
            )
        await exchange.json(model)
