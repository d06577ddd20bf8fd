"""What the figures should be: one row a bound, with what must hold and what is hoped for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.samples import Results, Spread

OURS = "riverrun"


@dataclass(frozen=True)
class Bound:
    """A figure of one part's results, and how large it may be (or how small: `least`). No goal: the bound is enough."""

    part: str
    title: str
    unit: str
    goal: float | None
    must: float
    value: Callable[[Results], Spread | None]
    least: bool = False

    def verdict(self, found: float) -> str:
        """In a word: missed, holds, or goal."""
        if not self._within(found, self.must):
            return "missed"
        return "goal" if self.goal is not None and self._within(found, self.goal) else "holds"

    def _within(self, found: float, limit: float) -> bool:
        return found >= limit if self.least else found <= limit


def ratio(measure: str, who: str, other: str, name: str = "cost") -> Callable[[Results], Spread | None]:
    """Of what two cost, or of another figure of theirs."""
    return lambda results: results.ratio(measure, who, other, name)


def figure(measure: str, name: str, scale: float = 1.0, who: str = OURS) -> Callable[[Results], Spread | None]:
    """One of riverrun's own figures."""
    return lambda results: scaled(results.spread(measure, who, name), scale)


def added(name: str) -> Callable[[Results], Spread | None]:
    """What riverrun adds to a time at a light load, in ms."""
    return lambda results: scaled(results.difference("light", OURS, "direct", name), 1e-3)


def scaled(found: Spread | None, by: float) -> Spread | None:
    """In another unit."""
    return found and Spread(found.median * by, found.low * by, found.high * by)


BOUNDS = (
    Bound("main", "paced chunk ÷ nginx", "", 1.75, 2.2, ratio("paced", OURS, "nginx")),
    Bound("main", "burst chunk", "µs", 6, 10, figure("burst", "cost")),
    Bound("main", "small JSON request ÷ nginx", "", 9, 13, ratio("json", OURS, "nginx")),
    Bound("main", "added time to first token, p50", "ms", 0.4, 0.7, added("first-p50")),
    Bound("main", "added time to first token, p99", "ms", 1, 3, added("first-p99")),
    Bound("main", "memory of an idle stream", "KB", 15, 25, figure("memory", "stream", 1e-3)),
    Bound("main", "streams held, chunk p99 ≤ 20 ms", "", 500, 350, figure("held-p99", "streams"), least=True),
    Bound("main", "LiteLLM ÷ riverrun, paced chunk", "", 20, 15, ratio("paced", "litellm", OURS), least=True),
    Bound("main", "LiteLLM ÷ riverrun, JSON request", "", 80, 60, ratio("json", "litellm", OURS), least=True),
    Bound("main", "Portkey ÷ riverrun, paced chunk", "", 3.5, 2.5, ratio("paced", "portkey", OURS), least=True),
    Bound("main", "Portkey ÷ riverrun, JSON request", "", 12, 8, ratio("json", "portkey", OURS), least=True),
    Bound("main", "memory at rest, without the engine", "MB", 60, 80, figure("memory", "rest", 1e-6)),
    *(
        Bound("dialects", f"{dialect} ÷ openai, {measure}", "", None, 4 / 3, ratio(measure, dialect, "openai"))
        for dialect in ("anthropic", "gemini")
        for measure in ("paced", "burst", "json")
    ),
    *(
        Bound("workers", f"2 workers ÷ {other}, {title}", "", None, 1.1, ratio(measure, "2 workers", other))
        for other in ("1 worker", "1 worker, tapes in files")
        for measure, title in (("paced", "paced chunk"), ("json", "JSON request"))
    ),
    Bound("workers", "largest share of the connections", "%", None, 60, figure("share", "percent", who="2 workers")),
    *(
        Bound(
            "workers",
            f"2 workers ÷ {other} on one core, rate of JSON requests",
            "",
            None,
            0.95,
            ratio("json", "2 workers", other, "rate"),
            least=True,
        )
        for other in ("1 worker", "1 worker, tapes in files")
    ),
    Bound("soak", "growth of the resident set", "MiB / 10 min", None, 1, figure("soak", "slope")),
)


def judged(parts: Mapping[str, Results]) -> list[tuple[Bound, Spread]]:
    """Every bound of which there is a figure."""
    found = [(bound, bound.value(parts[bound.part])) for bound in BOUNDS if bound.part in parts]
    return [(bound, value) for bound, value in found if value is not None]
