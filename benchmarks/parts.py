"""The parts beside the main table: riverrun alone, set up in several ways, each compared with the first of its kind.

Each part is a list of ways to start it and the loads to put on them; the ways are interleaved like the contenders.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks import riverrun_setting
from benchmarks.asking import Load, upstream
from benchmarks.measures import figures
from benchmarks.processes import PROXY_CORE, Tree, awake, free_port, running, taking_turns
from benchmarks.rounds import noting, say
from benchmarks.samples import Sample


@dataclass(frozen=True)
class Way:
    """One way to set riverrun up: what is added to the settings, and how many workers. Its name is shown."""

    name: str
    more: str = ""
    workers: int | None = None


@dataclass(frozen=True)
class Trial:
    """A load on one way; its cost is per chunk or per answer."""

    measure: str
    way: Way
    who: str
    load: Load
    per: str


@dataclass(frozen=True)
class Part:
    """`trials` are made for windows of so many seconds; `beyond` measures what no load shows, of a way that runs;
    `around` starts what the ways need, and says where it is: words that stand in their settings, and their values."""

    title: str
    trials: Callable[[float], Sequence[Trial]]
    beyond: Callable[[Way, Tree], Iterable[Sample]] = lambda way, tree: ()
    around: Callable[[Path], AbstractContextManager[dict[str, str]]] = lambda folder: nullcontext({})


@contextmanager
def set_up(
    way: Way, folder: Path, behind: Tree, words: Mapping[str, str] | None = None, core: int | None = PROXY_CORE
) -> Iterator[Tree]:
    """Starts riverrun in this way."""
    place, port = folder / way.name.replace(" ", "-"), free_port()
    place.mkdir(parents=True, exist_ok=True)
    more = way.more.format(**{"folder": place, "upstream": behind.port, **(words or {})})
    command, environ = riverrun_setting.start(place, port, behind.port, more, way.workers)
    with running(command, port, place / "log", core, environ) as tree:
        yield tree


def measured(part: Part, repetitions: int, seconds: float, missing: dict[str, str]) -> Iterator[Sample]:
    """All samples of a part, as they come."""
    trials = part.trials(seconds)
    ways = list(dict.fromkeys(trial.way for trial in trials))
    with tempfile.TemporaryDirectory(prefix="riverrun-benchmark-") as name, upstream() as behind, ExitStack() as stack:
        folder = Path(name)
        words = stack.enter_context(part.around(folder))
        trees: dict[Way, Tree] = {}
        for way in ways:
            with noting(way.name, missing):
                trees[way] = stack.enter_context(set_up(way, folder, behind, words))
        stack.enter_context(taking_turns(list(trees.values())))
        for repetition in range(repetitions):
            for trial in trials:
                if trial.way in trees:
                    say(f"{repetition + 1} of {repetitions}: {part.title}, {trial.measure}, {trial.who}")
                    with awake(trees[trial.way]), noting(f"{trial.who}, {trial.measure}", missing):
                        found = figures(trial.load, trees[trial.way], (), behind, trial.per)
                        yield Sample(trial.measure, trial.who, repetition, found)
        for way, tree in trees.items():
            with awake(tree):
                yield from part.beyond(way, tree)
