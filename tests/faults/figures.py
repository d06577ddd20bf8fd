"""What many tries come to: one line of the table. Pure but for playing the tries."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from tests.faults.rows import Outcome, Row

COLUMNS = (
    "what is done", "tried", "whole", "told an error", "lost without a word", "bytes lost or doubled",
    "false successes", "other promises broken", "gap p50", "gap p99", "besides",
)  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |"
RULE = "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"


class Figures(NamedTuple):
    """`whole` and `told` are answers; `silent` ones had neither an end nor an error. `gaps` of the whole ones, in s.

    `broken`: what else was promised and not so, a try each.
    """

    what: str
    tried: int
    whole: int
    told: int
    silent: int
    wrong_bytes: int
    false: int
    gaps: tuple[float, ...]
    broken: tuple[str, ...] = ()
    note: str = ""

    @property
    def line(self) -> str:
        numbers = (
            self.tried, self.whole, self.told, self.silent, self.wrong_bytes, self.false, len(self.broken)
        )  # fmt: skip
        gaps = (f"{quantile(self.gaps, 0.5):.2f} s", f"{quantile(self.gaps, 0.99):.2f} s") if self.gaps else ("-", "-")
        return f"| {' | '.join((self.what, *map(str, numbers), *gaps, self.note))} |"

    @property
    def honest(self) -> bool:
        """Nothing false, nothing doubled, nobody left without a word, and every other promise kept."""
        return bool(self.tried) and not (self.silent or self.wrong_bytes or self.false or self.broken)

    def passes(self, row: Row) -> bool:
        """Whether it is what the row must come to."""
        return self.honest and (row.may_lose or self.whole == self.tried)


def quantile(values: Iterable[float], share: float) -> float:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def summed(what: str, outcomes: Iterable[Outcome]) -> Figures:
    every = list(outcomes)
    whole = [one for one in every if one.whole]
    told = [one for one in every if not one.whole and one.told]
    return Figures(
        what,
        tried=len(every),
        whole=len(whole),
        told=len(told),
        silent=len(every) - len(whole) - len(told),
        wrong_bytes=sum(one.wrong_bytes for one in every),
        false=sum(one.false_success for one in every),
        gaps=tuple(one.gap for one in whole),
        broken=tuple(one.broken for one in every if one.broken),
        note=next((one.note for one in reversed(every) if one.note), ""),
    )


def measured(row: Row, n: int | None = None) -> Figures:
    """As many tries of a row as the page has, or `n`."""
    return summed(row.what, row.play(row.tries if n is None else n))
