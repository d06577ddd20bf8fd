"""GET /v1/models and /v1/models/{id}: the models that answer here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.runs.runs import Grant
from riverrun.server.exchange import Exchange


class Listed(msgspec.Struct, frozen=True):
    """One model. `created` is when it came to this machine, in Unix seconds."""

    id: str
    created: int
    owned_by: str = "riverrun"
    object: str = "model"


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
