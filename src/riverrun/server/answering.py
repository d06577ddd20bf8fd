"""Who answers here: a configuration, the environment's keys and this machine's models as one table.

It opens nothing and asks nobody, so that a configuration can be judged whole before anything depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from riverrun.backends.address import parse
from riverrun.config import Config, UpstreamConfig
from riverrun.config.nearest import nearest
from riverrun.config.whole import LOCAL
from riverrun.dialects.rows import ROWS, Row
from riverrun.dialects.sources import Upstream, found, upstream
from riverrun.engine import catalogue
from riverrun.engine.backend import DEADLINES, ROW
from riverrun.engine.settings import DEFAULT_CONTEXT
from riverrun.failures import Cause, Failure
from riverrun.routing.deadlines import THINKING
from riverrun.routing.model import Model, single
from riverrun.routing.table import Source, Table
from riverrun.routing.target import Target

Completed = Callable[[str], Target]
"""A local model's name to its target."""


class Answering(msgspec.Struct, frozen=True):
    """`rows` are those of the upstreams that differ from every row that riverrun has."""

    table: Table
    upstreams: Mapping[str, Upstream]
    rows: Mapping[str, Row]


class Local:
    """The models of this machine, by their `names`. `target` makes the target of one; an engine knows more of it.

    `context`: tokens per slot, as the operator says; None: the engine's default.
    """

    def __init__(self, names: Sequence[str], context: int | None = None) -> None:
        self.names = tuple(names)
        self._context = context or DEFAULT_CONTEXT
        self._named = {name: catalogue.find(name) for name in self.names}
        self._known = _known(self.names)
        self.target: Completed = _asleep

    def find(self, name: str) -> Model | None:
        """By name or alias, with the sampling that its makers advise where the caller gives none.

        Its context is known before it runs where the catalogue knows what it was made for.
        """
        if name in self._named:
            row = self._named[name]
        else:
            row = self._known.get(name.casefold())
            if row is None:
                return None
            name = row.name
        target = self.target(name)
        if row is not None:
            context = target.context or min(row.context, self._context)
            target = msgspec.structs.replace(target, context=context, sampling=tuple(row.sampling.items()))
        return single(target)

    def source(self, name: str, thinks: bool | None = None) -> Target:
        """The target behind `local/NAME`. Raises ValueError."""
        model = self.find(name)
        if model is None:
            raise ValueError(f"local/{name}: no such model is loaded; {nearest(name, self.names)}")
        target = model.tiers[0][0].target
        return msgspec.structs.replace(target, deadlines=THINKING) if thinks else target


def answering(config: Config, environ: Mapping[str, str], local: Local) -> Answering:
    """Raises Failure with the place in the configuration that can't be used."""
    upstreams = {name: _upstream(name, settings, environ) for name, settings in config.upstream.items()}
    open_ = () if config.routes else found(environ)
    for name in (*open_, *_unconfigured(config)):
        upstreams[name] = _upstream(name, UpstreamConfig(), environ)
    sources: dict[str, Source] = {name: each.target for name, each in upstreams.items()}
    try:
        table = Table(config.model, {**sources, LOCAL: local.source}, local.find, local.names, open_)
    except ValueError as error:
        raise _invalid(f"targets: {error}") from None
    return Answering(table, upstreams, {each.row_name: each.row for each in upstreams.values()})


def local_names(config: Config) -> list[str]:
    """The local models that are named: those to serve, then those that targets name."""
    files = {Path(each).stem for each in config.engine.models}
    named = [target.model for model in config.model for target in model.reached if target.upstream == LOCAL]
    more = (name for name in named if "*" not in name and name not in files)
    return list(dict.fromkeys([*config.engine.models, *more]))


def _unconfigured(config: Config) -> list[str]:
    """Upstreams that targets name without a section of their own: rows that riverrun has."""
    named = dict.fromkeys(target.upstream for model in config.model for target in model.reached)
    missing = [name for name in named if name not in config.upstream and name != LOCAL]
    for name in missing:
        if name not in ROWS:
            known = [*config.upstream, *(row for row, each in ROWS.items() if each.base_url), LOCAL]
            raise _invalid(f"targets: there is no upstream {name!r}; {nearest(name, known)} Or add [upstream.{name}]")
    return missing


def _upstream(name: str, settings: UpstreamConfig, environ: Mapping[str, str]) -> Upstream:
    try:
        found_ = upstream(name, settings, environ)
    except ValueError as error:
        raise _invalid(f"upstream.{name}: {error}") from None
    try:
        parse(found_.base_url)
    except ValueError as error:
        raise _invalid(f"upstream.{name}.base_url: {error}") from None
    return found_


def _invalid(what: str) -> Failure:
    return Failure(Cause.BAD_REQUEST, f"The configuration is not valid: {what.rstrip('.')}.")


def _known(names: Sequence[str]) -> dict[str, catalogue.Row]:
    """The rows of these models by their names and aliases, in lower case. Every request looks here first."""
    rows: dict[str, catalogue.Row] = {}
    for row in catalogue.rows():
        for name in (row.name, *row.aliases):
            rows.setdefault(name, row)
    return {name: row for name, row in rows.items() if row.name in names}


def _asleep(name: str) -> Target:
    return Target(name=name, model=name, base_url="", row=ROW, deadlines=DEADLINES)
