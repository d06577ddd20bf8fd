"""The whole configuration, and what must be true between its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from riverrun.config.sections import EngineConfig, LogConfig, ServerConfig
from riverrun.config.store import StoreConfig
from riverrun.config.tapes import TapesConfig
from riverrun.config.tenants import TenantConfig, contradictions, owners
from riverrun.config.upstream import ModelConfig, TargetConfig, UpstreamConfig, UpstreamName

LOCAL = "local"
"""The upstream's name by which targets name the models of this machine."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raises ValueError where two parts contradict each other."""

    server: ServerConfig = ServerConfig()
    engine: EngineConfig = EngineConfig()
    log: LogConfig = LogConfig()
    tapes: TapesConfig = TapesConfig()
    store: StoreConfig = StoreConfig()
    tenant: tuple[TenantConfig, ...] = ()
    upstream: dict[UpstreamName, UpstreamConfig] = {}
    model: tuple[ModelConfig, ...] = ()

    def __post_init__(self) -> None:
        wrong = next(_contradictions(self), None)
        if wrong is not None:
            raise ValueError(wrong)

    @property
    def routes(self) -> bool:
        """Whether it says itself who answers; if not, the environment's keys do."""
        return bool(self.upstream or self.model)

    @property
    def owners(self) -> dict[bytes, str]:
        """Whose each client key is, by its digest; empty: everyone may come in."""
        return owners(self.server.api_keys, self.tenant)


def _contradictions(config: Config) -> Iterator[str]:
    yield from contradictions(config.server.api_keys, config.tenant)
    if LOCAL in config.upstream:
        yield f"upstream.{LOCAL}: this name means the models of this machine; choose another"
    counted = Counter(name for model in config.model for name in model.names)
    yield from (f"model: the name {name!r} is given {times} times" for name, times in counted.items() if times > 1)
    defaults = [model.name for model in config.model if model.default]
    if len(defaults) > 1:
        yield f"model: {' and '.join(map(repr, defaults))} are both the default; only one can be"
    for model in config.model:
        yield from (f"model {model.name!r}: {what}" for what in _wrong_in(model))


def _wrong_in(model: ModelConfig) -> Iterator[str]:
    starred = {name.count("*") for name in model.names}
    if starred not in ({0}, {1}):
        yield "a name has one *, and so has each alias, or none has"
    if model.default and starred != {0}:
        yield "a name with a * can't be the default"
    stars = 1 if starred == {1} else 0
    yield from _wrong_among("targets", model.tried, stars)
    for cause, targets in model.fallbacks.named.items():
        place = f"fallbacks.{cause.name.lower()}"
        yield from _wrong_among(place, targets, stars)
        if any(target.weight is not None for target in targets):
            yield f"{place}: a weight has no meaning here: fallbacks are asked in their order; leave it out"


def _wrong_among(name: str, targets: tuple[TargetConfig, ...], stars: int) -> Iterator[str]:
    seen: set[str] = set()
    for index, target in enumerate(targets):
        place = f"{name}[{index}]"
        if not all(target.target.partition("/")):
            yield f"{place}: {target.target!r} is not UPSTREAM/MODEL"
        if target.target in seen:
            yield f"{place}: {target.target!r} is named twice"
        seen.add(target.target)
        if target.target.count("*") > stars or "*" in target.upstream:
            yield f"{place}: the * in {target.target!r} stands for nothing: the model's name has none"
