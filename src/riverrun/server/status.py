"""What a server says of itself to its owner: what runs, every name, its targets in order, and how each stands."""

from __future__ import annotations

import msgspec

from riverrun import __version__
from riverrun.engine.backend import ROW, Engine
from riverrun.engine.host import Status as EngineStatus
from riverrun.routing.model import Model
from riverrun.routing.table import Table
from riverrun.routing.target import Target
from riverrun.runs.upstreams import Upstreams
from riverrun.wire.jsonvalue import JsonObject


class TargetStanding(msgspec.Struct, frozen=True):
    """`tier` counts from 0; `state` is a local model's process's, or a breaker's, or empty for a pattern.

    `after` is the cause of failure after which a fallback is asked; empty for the usual targets.
    """

    target: str
    tier: int
    state: str
    after: str = ""


class Standing(msgspec.Struct, frozen=True):
    """One name that clients may ask for."""

    name: str
    alias_of: str | None
    targets: list[TargetStanding]


class Overview(msgspec.Struct, frozen=True, tag="overview"):
    """How a server stands: answers that run, the local models, and who answers to which name."""

    running: int
    engines: tuple[EngineStatus, ...]
    models: list[Standing]

    def told(self) -> JsonObject:
        """For the control socket."""
        return {"version": __version__, "running": self.running, "models": msgspec.to_builtins(self.models)}


class Status:
    """Holds no key and no address: names and states."""

    def __init__(self, engine: Engine, upstreams: Upstreams) -> None:
        self._engine = engine
        self._upstreams = upstreams

    def of(self, table: Table, running: int) -> Overview:
        """`running`: how many answers are under way."""
        models = [self._model(name, model) for name, model in table.entries()]
        return Overview(running, self._engine.status(), models)

    def _model(self, name: str, model: Model) -> Standing:
        targets = [
            TargetStanding(each.target.name, number, self._state(each.target))
            for number, tier in enumerate(model.tiers)
            for each in tier
        ]
        fallbacks = [
            TargetStanding(target.name, number, self._state(target), cause.name.lower())
            for cause, named in model.fallbacks.items()
            for number, target in enumerate(named)
        ]
        return Standing(name, model.name if model.name != name else None, targets + fallbacks)

    def _state(self, target: Target) -> str:
        if target.row == ROW:
            return next((each.state for each in self._engine.status() if each.name == target.model), "unknown")
        return "" if "*" in target.name else self._upstreams.state(target)
