"""The rows of the recipes: every one in every arrangement, on the virtual clock and once over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from tests.faults.broken_upstreams import Sides, row
from tests.faults.recipes import ARRANGEMENTS, RECIPES, Arrangement, Recipe
from tests.faults.rows import Outcome, Row, spread
from tests.faults.tries import SCALE, over_tcp, sides

ARRANGED: dict[Arrangement, str] = {
    "alone": "one target",
    "healthy": "a fallback that is well",
    "dying": "a fallback that dies too",
}
SEEDS = 20


def rows() -> Iterator[Row]:
    for arrangement, named in ARRANGED.items():
        made = [_arranged(one, arrangement) for one in RECIPES if one.requests == 1]
        yield row("recipes", f"every recipe, {SEEDS} seeds each; {named}", made * SEEDS, may_lose=True)
    for arrangement in ARRANGEMENTS:
        what = f"every recipe over TCP, all times multiplied by {SCALE:g}; {ARRANGED[arrangement]}"
        answers = sum(one.requests for one in RECIPES)
        yield Row("recipes", what, answers, _tcp(arrangement), may_lose=True, in_suite=0)


def _arranged(recipe: Recipe, arrangement: Arrangement) -> Sides:
    return lambda: sides(recipe, arrangement, 1.0)


def _tcp(arrangement: Arrangement) -> Callable[[int], Iterator[Outcome]]:
    return partial(_played, arrangement)


def _played(arrangement: Arrangement, n: int) -> Iterator[Outcome]:
    """`n` answers; a recipe of several requests gives several."""
    chosen = [(one, arrangement) for one in RECIPES]
    every = asyncio.run(over_tcp(spread(chosen, n)))
    answers = [seen.outcome for several in every.values() for seen in several]
    return iter(spread(answers, n))
