"""What was measured: samples, the facts of their run, and the file that keeps both. Knows no page and no process."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median

import msgspec

RESULTS = Path(__file__).parent / "results"


class Sample(msgspec.Struct, frozen=True):
    """One measurement: what, of whom, in which repetition; its figures by name."""

    measure: str
    who: str
    repetition: int
    figures: dict[str, float]


class Spread(msgspec.Struct, frozen=True):
    """A figure over the repetitions."""

    median: float
    low: float
    high: float


class Results(msgspec.Struct, frozen=True):
    """Of one part of the benchmark. `missing`: who could not be measured, and why."""

    facts: dict[str, str]
    samples: list[Sample]
    missing: dict[str, str] = {}

    def who(self, measure: str) -> list[str]:
        """Everyone of whom there is a sample, in the order of measuring."""
        return list(dict.fromkeys(sample.who for sample in self.samples if sample.measure == measure))

    def values(self, measure: str, who: str, figure: str) -> dict[int, float]:
        """A figure by repetition."""
        return {
            sample.repetition: sample.figures[figure]
            for sample in self.samples
            if (sample.measure, sample.who) == (measure, who) and figure in sample.figures
        }

    def spread(self, measure: str, who: str, figure: str) -> Spread | None:
        """None where there is no sample."""
        return spread(self.values(measure, who, figure).values())

    def ratio(self, measure: str, who: str, other: str, figure: str) -> Spread | None:
        """Of one to another, taken within each repetition."""
        return spread(one / two for one, two in self._pairs(measure, who, other, figure) if two)

    def difference(self, measure: str, who: str, other: str, figure: str) -> Spread | None:
        """One less another, taken within each repetition."""
        return spread(one - two for one, two in self._pairs(measure, who, other, figure))

    def _pairs(self, measure: str, who: str, other: str, figure: str) -> list[tuple[float, float]]:
        ones, others = self.values(measure, who, figure), self.values(measure, other, figure)
        return [(ones[repetition], others[repetition]) for repetition in ones if repetition in others]


def spread(values: Iterable[float]) -> Spread | None:
    """None of no values."""
    known = list(values)
    return Spread(median(known), min(known), max(known)) if known else None


def keep(part: str, results: Results, folder: Path = RESULTS) -> None:
    """Writes a part's results, in place of those of an earlier run."""
    folder.mkdir(exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(results), indent=0)
    (folder / f"{part}.json").write_bytes(text.replace(b'{\n"measure"', b'{"measure"') + b"\n")


def kept(part: str, folder: Path = RESULTS) -> Results | None:
    """The results of a part's last run."""
    file = folder / f"{part}.json"
    return msgspec.json.decode(file.read_bytes(), type=Results) if file.exists() else None
