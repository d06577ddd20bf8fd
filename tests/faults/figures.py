"""What many tries come to: one line of the table. Pure but for playing the tries."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from tests.faults import memory_net
from tests.faults.rows import Row, played
from tests.faults.scene import Seen

HEAD = (
    "| | fault | tried | whole | told an error | lost without a word | bytes lost or doubled | false successes "
    "| gap p50 | gap p99 |"
)
RULE = "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"


class Figures(NamedTuple):
    """`whole` and `told` are answers; `silent` ones had neither an end nor an error. `gaps` of the whole ones, in s."""

    fault: str
    what: str
    tried: int
    whole: int
    told: int
    silent: int
    wrong_bytes: int
    false: int
    gaps: tuple[float, ...]

    @property
    def line(self) -> str:
        numbers = (self.tried, self.whole, self.told, self.silent, self.wrong_bytes, self.false)
        gaps = (f"{quantile(self.gaps, 0.5):.2f} s", f"{quantile(self.gaps, 0.99):.2f} s") if self.gaps else ("-", "-")
        return f"| {' | '.join((self.fault, self.what, *map(str, numbers), *gaps))} |"

    @property
    def honest(self) -> bool:
        """Nothing false, nothing doubled, nobody left without a word."""
        return not (self.silent or self.wrong_bytes or self.false)


def quantile(values: Iterable[float], share: float) -> float:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def summed(fault: str, what: str, seen: Iterable[Seen]) -> Figures:
    every = list(seen)
    whole = [one for one in every if one.whole]
    told = [one for one in every if not one.whole and one.error]
    return Figures(
        fault,
        what,
        tried=len(every),
        whole=len(whole),
        told=len(told),
        silent=len(every) - len(whole) - len(told),
        wrong_bytes=sum(one.wrong_bytes for one in every),
        false=sum(one.false_success for one in every),
        gaps=tuple(one.gap for one in whole),
    )


def measured(row: Row, stride: int = 1) -> Figures:
    """Every try of a row on a virtual clock of its own, or every so many-th."""
    tries = list(enumerate(row.tries))[::stride]
    return summed(row.fault, row.what, (memory_net.run(played(made, seed)) for seed, made in tries))
