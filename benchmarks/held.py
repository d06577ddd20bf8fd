"""How many streams of 50 chunks a second somebody holds on one core, by bisection."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.asking import NoFigures, Seen, asking
from benchmarks.measures import PACE, SETTLING, paced
from benchmarks.processes import Tree

LATE = 20_000
"""Microseconds under way for the 99th of 100 chunks, from which on streams do not count as held."""
COMPLETE = 0.98
"""The part of the chunks that has to come within the window."""
PATIENCE = 15.0
"""Seconds, beyond its window, that a probe may take. Who needs longer to begin so many streams does not hold them."""
STEP = 1.08
"""The search ends when the two bounds are closer than this factor."""


def held(tree: Tree, headers: Sequence[str], seconds: float, first: int, most: int) -> dict[str, int]:
    """The most streams, from `first` up to `most`, of which none had a gap of twice its pace (`held`); and of which the
    99th chunk of 100 was under way for at most LATE (`held-p99`), which is easier. A probe that fails is tried once
    more: the machine may stumble.
    """
    known: dict[int, Seen | None] = {}

    def probe(streams: int) -> Seen | None:
        if streams not in known:
            known[streams] = _probe(tree, headers, seconds, streams)
        return known[streams]

    def again(streams: int, fine: Callable[[Seen], bool]) -> bool:
        for _ in range(2):
            seen = probe(streams)
            if seen is not None and _complete(seen, streams) and fine(seen):
                return True
            known.pop(streams)
        return False

    in_time = most_that(lambda streams: again(streams, lambda seen: seen.way.p99 <= LATE), first, most)
    no_stall = most_that(lambda streams: again(streams, lambda seen: seen.stalls == 0), first, max(first, in_time))
    return {"held-p99": in_time, "held": no_stall}


def most_that(fine: Callable[[int], bool], first: int, most: int) -> int:
    """The largest number for which it is fine, to a factor of STEP; 0 if `first` is not fine."""
    low, high = 0, min(first, most)
    while fine(high):
        low = high
        if high == most:
            return most
        high = min(2 * high, most)
    while low and high / low > STEP and high - low > 1:
        middle = round((low * high) ** 0.5)
        low, high = (middle, high) if fine(middle) else (low, middle)
    return low


def _probe(tree: Tree, headers: Sequence[str], seconds: float, streams: int) -> Seen | None:
    try:
        with asking(paced(streams, seconds), tree.port, headers, patience=seconds + PATIENCE) as asked:
            asked.begun()
            return asked.seen()
    except NoFigures:
        return None
    finally:
        time.sleep(SETTLING + streams / 4000)


def _complete(seen: Seen, streams: int) -> bool:
    return seen.chunks >= COMPLETE * streams * seen.seconds * 1e6 / PACE
