"""What a running server can change without a restart: who answers, and which keys open it. Each change is one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from riverrun.config import Config
from riverrun.config.values import Secret
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Cause, Failure
from riverrun.routing.model import Model
from riverrun.server.answering import Answering, Local, answering
from riverrun.server.guard import Keys

APPLIES = {"server.api_keys", "upstream", "model"}
"""Settings that a running server takes over; all others wait for a restart."""


class ChangingKeys(Keys):
    """Client keys that can be replaced."""

    def __init__(self, keys: tuple[Secret, ...]) -> None:
        self.replace(keys)

    def replace(self, keys: tuple[Secret, ...]) -> None:
        super().__init__(key.reveal() for key in keys)


class Live:
    """The configuration that holds now. `rows` only grows: a running stream still needs the row that it began with."""

    def __init__(self, config: Config, environ: Mapping[str, str], local: Iterable[str], *, loopback: bool) -> None:
        """`local` are the models of this machine. `loopback`: nobody else reaches it, so it needs no keys.

        Raises Failure for a configuration that can't be used.
        """
        self.rows: dict[str, Row] = dict(ROWS)
        self.keys = ChangingKeys(config.server.api_keys)
        self._started = config
        self._environ = environ
        self.local = Local(tuple(local), config.engine.context)
        self._loopback = loopback
        self._answering = self._judged(config)

    @property
    def answering(self) -> Answering:
        return self._answering

    def find(self, name: str) -> Model | None:
        return self._answering.table.find(name)

    def apply(self, config: Config) -> list[str]:
        """Takes a configuration over; returns the settings that wait for a restart. Raises Failure: nothing changed."""
        if not (self._loopback or config.server.api_keys):
            raise Failure(
                Cause.BAD_REQUEST,
                "Off loopback a server needs keys: everyone who reaches this machine could use it. Give api_keys.",
            )
        if self.keys and not config.server.api_keys:
            raise Failure(
                Cause.BAD_REQUEST,
                "A running server does not let go of its last key: everyone could use it. Restart it without api_keys.",
            )
        self._answering = self._judged(config)
        self.keys.replace(config.server.api_keys)
        return sorted(set(_different(self._started, config)) - APPLIES)

    def _judged(self, config: Config) -> Answering:
        judged = answering(config, self._environ, self.local)
        self.rows.update(judged.rows)
        return judged


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
