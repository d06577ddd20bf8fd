"""The loads of the main table, and how a load becomes figures. Knows no contender by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.asking import Load, Seen, asking
from benchmarks.contenders import Contender
from benchmarks.processes import Tree

PACE = 20_000
"""Microseconds between the chunks of a stream: 50 a second."""
ENDLESS = 1_000_000
SETTLING = 0.2
"""Seconds between two loads, in which streams that were left are cleared away."""


@dataclass(frozen=True)
class Measure:
    """A load for a contender in a window of so many seconds; None: more than it can carry.

    Its cost is per chunk or per answer.
    """

    name: str
    title: str
    load: Callable[[Contender, float], Load | None]
    per: str


def paced(streams: int, seconds: float, model: str = "{script}", fields: dict[str, object] | None = None) -> Load:
    """Streams of 50 chunks a second, each chunk a segment of its own; they are open before the window."""
    options = f"-c {streams} -r 0.5 -w 0.3 -d {seconds} -g {2 * PACE}"
    return Load(f"play-paced-{ENDLESS}-{PACE}", options, model=model, fields=fields or {})


def bursts(chunks: int, seconds: float, connections: int = 4, model: str = "{script}") -> Load:
    """Streams whose chunks come as fast as they are taken, each connection one after the other."""
    return Load(f"play-burst-{chunks}", f"-c {connections} -e {chunks} -w 0.3 -d {seconds}", model=model)


def answers(seconds: float, connections: int = 4, model: str = "{script}") -> Load:
    """Small JSON answers. Who streams from its upstream gets one chunk there."""
    return Load("play-burst-1", f"-c {connections} -w 0.3 -d {seconds}", stream=False, model=model)


def light(rate: int, seconds: float) -> Load:
    """So many streams begin each second, on open connections; each has 10 chunks in 0.2 s."""
    return Load(f"play-paced-10-{PACE}", f"-c {max(2, rate // 2)} -q {rate} -e 10 -w 0.3 -d {seconds}")


SMALL, LARGE = 50, 200
MEASURES = (
    Measure(
        "paced", f"paced chunk, {SMALL} streams", lambda who, seconds: paced(min(SMALL, who.streams), seconds), "chunks"
    ),
    Measure(
        "paced-many",
        f"paced chunk, {LARGE} streams",
        lambda who, seconds: paced(LARGE, seconds) if who.streams >= LARGE else None,
        "chunks",
    ),
    Measure("burst", "burst chunk", lambda who, seconds: bursts(200, seconds), "chunks"),
    Measure("one-chunk", "one-chunk stream", lambda who, seconds: bursts(1, seconds), "answers"),
    Measure("json", "small JSON request", lambda who, seconds: answers(seconds), "answers"),
    Measure("light", "light load", lambda who, seconds: light(who.rate, 2 * seconds), "chunks"),
)


def figures(load: Load, tree: Tree, headers: Sequence[str], upstream: Tree, per: str) -> dict[str, float]:
    """Puts a load on a contender. Costs are µs of processor time per chunk or answer, times µs. Raises NoFigures."""
    with asking(load, tree.port, headers) as asked:
        asked.begun()
        before, upstream_before = tree.cpu(), upstream.cpu()
        seen = asked.seen()
        used, upstream_used = tree.cpu() - before, upstream.cpu() - upstream_before
    time.sleep(SETTLING)
    units = max(1, seen.answers if per == "answers" else seen.chunks)
    costs = {"cost": used, "upstream": upstream_used, "client": seen.cpu}
    rates = {"busy": used / seen.seconds, "rate": units / seen.seconds, "stalls": float(seen.stalls)}
    return {**{name: seconds / units * 1e6 for name, seconds in costs.items()}, **rates, **_times(seen)}


def _times(seen: Seen) -> dict[str, float]:
    every = {"first": seen.first, "way": seen.way, "gap": seen.gap}
    return {
        f"{name}-{part}": float(value)
        for name, times in every.items()
        if times.count
        for part, value in (("p50", times.p50), ("p99", times.p99), ("max", times.max))
    }
