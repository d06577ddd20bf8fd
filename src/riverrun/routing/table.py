"""Which model answers to a name. Pure: built whole from a configuration, and never changed.

Knows names, patterns and the order of targets; what an upstream is like is its source's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from riverrun.config import ModelConfig, TargetConfig
from riverrun.config.whole import LOCAL
from riverrun.routing.deadlines import given
from riverrun.routing.model import Model, Tier, Weighted, single
from riverrun.routing.target import Target

Source = Callable[[str, bool | None], Target]
"""An upstream, as the function that makes a target of the name that it knows a model by, and of whether that one
thinks (None: as the upstream says)."""

CARRIED = re.compile(r"[!-~]{1,256}")
"""Names that a pattern may carry over: they end up in headers, paths and logs (SEC9)."""

Own = Callable[[str], Model | None]
"""The models of this machine, by name or alias."""

MOST_FITTED = 1024
"""Names that patterns were found for, and are remembered with what was made of them. Clients may make names up."""


class Table:
    """`models` are the configured ones, `sources` the upstreams by name, `own` the models of this machine, whose
    names are `listed`. `open` names upstreams that answer for every model of theirs, as `UPSTREAM/MODEL`.

    Raises LookupError for a target whose upstream is not among the sources, and whatever the sources raise.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig],
        sources: Mapping[str, Source],
        own: Own,
        listed: Sequence[str] = (),
        open: Sequence[str] = (),
    ) -> None:
        self._sources = sources
        self._own = own
        self._open = tuple(open)
        self._patterns: list[tuple[str, ModelConfig]] = []
        self._exact: dict[str, Model] = {}
        self._default: Model | None = None
        self._fitted: dict[str, Model] = {}
        for each in models:
            self._add(each)
        self._names = tuple(dict.fromkeys([*self._exact, *listed]))

    def names(self) -> tuple[str, ...]:
        """Every name that can be asked for and written down: configured ones first, then this machine's."""
        return self._names

    def entries(self) -> Iterator[tuple[str, Model]]:
        """Every name with its model, then the names that stand for many, with a * in their targets too."""
        for name in self._names:
            model = self.find(name)
            assert model is not None
            yield name, model
        for pattern, written in self._patterns:
            yield pattern, self._model(written, pattern, "*")
        for name in self._open:
            yield f"{name}/*", single(self._sources[name]("*", None))

    def find(self, name: str) -> Model | None:
        """Who answers to this name: itself, then a model of this machine, a pattern in their order, the default."""
        return self._exact.get(name) or self._own(name) or self._fitted.get(name) or self._fit(name) or self._default

    def _add(self, model: ModelConfig) -> None:
        built = self._model(model, model.name, "*")
        if "*" in model.name:
            self._patterns += [(pattern, model) for pattern in model.names]
        else:
            self._exact.update(dict.fromkeys(model.names, built))
        if model.default:
            self._default = built

    def _fit(self, name: str) -> Model | None:
        model = self._fitting(name)
        if model is not None:
            if len(self._fitted) >= MOST_FITTED:
                self._fitted.clear()
            self._fitted[name] = model
        return model

    def _fitting(self, name: str) -> Model | None:
        if not CARRIED.fullmatch(name):
            return None
        for pattern, model in self._patterns:
            rest = _between(pattern, name)
            if rest:
                return self._model(model, name, rest)
        upstream, slash, model_name = name.partition("/")
        if upstream == LOCAL and slash:
            return self._own(model_name)
        return single(self._sources[upstream](model_name, None)) if upstream in self._open and model_name else None

    def _model(self, model: ModelConfig, name: str, rest: str) -> Model:
        hedge = model.hedge_after.limit if model.hedge_after is not None else None
        return Model(
            name,
            self._tiers(model.tried, rest),
            retries=model.retries,
            continues=model.continues,
            hedge_after=hedge,
            whole_calls=model.tool_calls == "whole",
            fallbacks={
                cause: tuple(self._target(each, rest) for each in targets)
                for cause, targets in model.fallbacks.named.items()
            },
        )

    def _tiers(self, targets: Sequence[TargetConfig], rest: str) -> tuple[Tier, ...]:
        """Neighbours with a weight form one tier; a target without one is a tier of its own."""
        tiers: list[list[Weighted]] = []
        weighing = False
        for each in targets:
            weighted = Weighted(self._target(each, rest), each.weight if each.weight is not None else 1.0)
            if weighing and each.weight is not None:
                tiers[-1].append(weighted)
            else:
                tiers.append([weighted])
            weighing = each.weight is not None
        return tuple(tuple(tier) for tier in tiers)

    def _target(self, each: TargetConfig, rest: str) -> Target:
        source = self._sources.get(each.upstream)
        if source is None:
            raise LookupError(each.upstream)
        return adjusted(source(each.model.replace("*", rest), each.thinks), each)


def adjusted(target: Target, each: TargetConfig) -> Target:
    """The target with what the operator says of it in this place."""
    return msgspec.structs.replace(
        target,
        context=each.context or target.context,
        same=each.same or target.same,
        deadlines=given(target.deadlines, each.deadlines),
        thinking=given(target.thinking, each.deadlines) if target.thinking is not None else None,
    )


def _between(pattern: str, name: str) -> str:
    """What the pattern's * stands for in the name; "" where it does not fit."""
    before, _, after = pattern.partition("*")
    fits = name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
    return name[len(before) : len(name) - len(after)] if fits else ""
