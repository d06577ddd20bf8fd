"""What a running server can change without a restart: who answers, and which keys open it. Each change is one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from riverrun.config import Config
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Cause, Failure
from riverrun.routing.model import Model
from riverrun.server.answering import Answering, Completed, Local, answering
from riverrun.server.guard import Keys

APPLIES = {"server.api_keys", "server.metrics_keys", "tenant", "upstream", "model"}
"""Settings that a running server takes over; all others wait for a restart."""


class ChangingKeys(Keys):
    """Keys that can be replaced."""

    def replace(self, owners: Mapping[bytes, str]) -> None:
        super().__init__(owners)


class Live:
    """The configuration that holds now. `rows` only grows: a running stream still needs the row that it began with."""

    def __init__(self, config: Config, environ: Mapping[str, str], local: Iterable[str], *, loopback: bool) -> None:
        """`local` are the models of this machine. `loopback`: nobody else reaches it, so it needs no keys.

        Raises Failure for a configuration that can't be used.
        """
        self.rows: dict[str, Row] = dict(ROWS)
        self.keys = ChangingKeys(config.owners)
        self.scrapers = ChangingKeys(_scrapers(config))
        self._started = config
        self._environ = environ
        self.local = Local(tuple(local), config.engine.context)
        self._loopback = loopback
        self._answering = answering(config, environ, self.local)
        self._judged = config, self._answering
        self.rows.update(self._answering.rows)

    @property
    def answering(self) -> Answering:
        return self._answering

    def find(self, name: str) -> Model | None:
        return self._answering.table.find(name)

    def runs_local(self, target: Completed) -> None:
        """There is an engine, which knows more of the models of this machine: whatever names one is made anew."""
        self.local.target = target
        config, _ = self._judged
        self._answering = answering(config, self._environ, self.local)
        self._judged = config, self._answering

    def apply(self, config: Config) -> list[str]:
        """Takes a configuration over; returns the settings that wait for a restart. Raises Failure: nothing changed."""
        self.judge(config)
        return self.take()

    def judge(self, config: Config) -> None:
        """Makes everything ready for `take`. Raises Failure for what can't be taken over."""
        if not (self._loopback or config.owners):
            raise Failure(
                Cause.BAD_REQUEST,
                "Off loopback a server needs keys: everyone who reaches this machine could use it. "
                "Give api_keys or a [[tenant]].",
            )
        if self.keys and not config.owners:
            raise Failure(
                Cause.BAD_REQUEST,
                "A running server does not let go of its last key: everyone could use it. Restart it without keys.",
            )
        self._judged = config, answering(config, self._environ, self.local)

    def take(self) -> list[str]:
        """What was judged last holds from now on. Returns the settings that wait for a restart."""
        config, self._answering = self._judged
        self.rows.update(self._answering.rows)
        self.keys.replace(config.owners)
        self.scrapers.replace(_scrapers(config))
        return sorted(set(_different(self._started, config)) - APPLIES)


def _scrapers(config: Config) -> dict[bytes, str]:
    return {key.digest: "metrics" for key in config.server.metrics_keys}


def _different(old: Config, new: Config) -> Iterator[str]:
    """The settings that differ, by their place; upstreams and models each as one."""
    for section in Config.__struct_fields__:
        before, after = getattr(old, section), getattr(new, section)
        if not isinstance(before, msgspec.Struct):
            yield from [section] * (before != after)
            continue
        for name in before.__struct_fields__:
            if getattr(before, name) != getattr(after, name):
                yield f"{section}.{name}"
