"""Names as they may stand in a metric: the configured ones and no other, so that no client makes series up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

from riverrun.routing.table import Table

OTHER = "other"

MOST_NAMES = 1024


class Labels:
    """`table` gives the one that holds now; its names are gathered anew when it has been replaced."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table
        self._gathered: Table | None = None
        self._models: frozenset[str] = frozenset()
        self._targets: frozenset[str] = frozenset()
        self._plain: frozenset[str] = frozenset()
        self._named: dict[str, str] = {}
        """The label of each model's name that was asked for."""
        self._reached: dict[str, str] = {}
        """The label of each target's name."""

    def model(self, name: str) -> str:
        """What a client asked for: the name that it is an alias of, the pattern that it fits, or "other"."""
        table = self._current()
        known = self._named.get(name)
        if known is None:
            found = table.find(name)
            known = OTHER if found is None else _bounded(found.name, self._models)
            _keep(self._named, name, known)
        return known

    def target(self, name: str) -> str:
        """A target by its name, or by the pattern that it comes from; "other" where neither is configured now."""
        self._current()
        known = self._reached.get(name)
        if known is None:
            known = _bounded(name, self._targets)
            _keep(self._reached, name, known)
        return known

    def targets(self) -> frozenset[str]:
        """Every target that has a series of its own, without the patterns."""
        self._current()
        return self._plain

    def _current(self) -> Table:
        table = self._table()
        if table is not self._gathered:
            entries = list(table.entries())
            self._models = frozenset(name for name, _ in entries)
            self._targets = frozenset(
                target.name
                for _, model in entries
                for target in chain((each.target for tier in model.tiers for each in tier), *model.fallbacks.values())
            )
            self._plain = frozenset(name for name in self._targets if "*" not in name)
            self._named, self._reached = {}, {}
            self._gathered = table
        return table


def _keep(labels: dict[str, str], name: str, label: str) -> None:
    if len(labels) >= MOST_NAMES:  # clients make names up
        labels.clear()
    labels[name] = label


def _bounded(name: str, known: frozenset[str]) -> str:
    return name if name in known else next((like for like in sorted(known) if _fits(like, name)), OTHER)


def _fits(pattern: str, name: str) -> bool:
    before, star, after = pattern.partition("*")
    longer = len(name) > len(before) + len(after)
    return bool(star) and longer and name.startswith(before) and name.endswith(after)
