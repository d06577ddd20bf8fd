"""A row of the table of faults survived: what is done, how often, and what came of each try. The interface only.

To add rows: write a module in this folder with `def rows() -> Iterator[Row]`, and put its name into MODULES. The
sentences on each fault (what it is, when it passes) are in faults.toml. Then, from the repository's top:

    scripts/faults X5           every try of its rows; X5's section of docs/faults.md is written anew
    scripts/faults X5 100       100 tries of each of its rows; they are shown, and nothing is written
    scripts/faults              all rows of all faults, and the whole page

A row plays itself: `play(n)` is a plain generator of one `Outcome` for each of `n` tries, which runs a loop of its own,
virtual (tests.faults.memory_net.run) or real (asyncio.run), and starts and ends whatever it needs. Where there are no
more tries than a sequence has (every byte of an answer), it takes `n` of them, evenly spread: `spread(tries, n)`. It
draws its random numbers from Random(seed) with fixed seeds. tests/faults/test_figures.py plays `in_suite` tries of
every row, and tests/faults/test_page.py fails until the page has every row with `tries` tries.

    def rows() -> Iterator[Row]:
        yield Row("X5", "kill -9 of the owner after a random chunk; another worker goes on", 50, killed)

    def killed(n: int) -> Iterator[Outcome]:
        for seed in range(n):
            seen = asyncio.run(one_kill(Random(seed)))
            yield Outcome(whole=seen.text == TRUE, told=bool(seen.error), wrong_bytes=seen.wrong, gap=seen.gap)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import NamedTuple, TypeVar

T = TypeVar("T")

MODULES = (
    "broken_upstreams",
    "recipe_rows",
    "engines",
    "client_resets",
    "awkward_moments",
    "many_readers",
    "elsewhere",
    "same_request",
    "sdk_retries",
    "cost_of_leaving",
    "kills",
    "store_faults",
    "disk_faults",
    "restarts",
    "crowds",
    "partitions",
    "worlds",
)
"""Modules of this folder that have rows; `rows()` gives them."""


class Outcome(NamedTuple):
    """What came of one try.

    `whole`: every byte came once, in order, and the end as it should be. `told`: the client was told an error.
    A try that is neither left somebody without a word. `wrong_bytes`: lost, doubled or changed ones inside what the
    client got. `false_success`: it looked finished and was not whole. `gap`: the longest time without a new word, in
    seconds. `broken`: what else the row promises and was not so ("3 upstream calls", "V3 at seed 17"), or "".
    `note`: a figure of the row as a whole ("p99 of the others 1.04 times"); the last one is shown.
    """

    whole: bool
    told: bool = False
    wrong_bytes: int = 0
    false_success: bool = False
    gap: float = 0.0
    broken: str = ""
    note: str = ""


class Row(NamedTuple):
    """`fault` is a name of faults.toml, `what` is done `tries` times; (`fault`, `what`) names the row.

    `may_lose`: an answer may be lost, where its client is told; without it every answer must be whole.
    `in_suite`: tries in the test suite, 0 where it is too slow for it. `mark`: a marker of pytest that it needs.
    """

    fault: str
    what: str
    tries: int
    play: Callable[[int], Iterable[Outcome]]
    may_lose: bool = False
    in_suite: int = 12
    mark: str = ""


def spread(tries: Sequence[T], n: int) -> Sequence[T]:
    """At most `n` of them, evenly spread, in their order."""
    return tries if n >= len(tries) else [tries[at * len(tries) // n] for at in range(n)]


def every() -> Iterator[Row]:
    for name in MODULES:
        yield from import_module(f"tests.faults.{name}").rows()
