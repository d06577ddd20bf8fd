"""The main part: every contender, every measure, interleaved; then how many streams each holds, and its memory.

Knows how a run is put together; refuses to know what the figures should be.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.asking import NoFigures, upstream
from benchmarks.bounds import OURS
from benchmarks.contenders import Contender, Running, started
from benchmarks.held import held
from benchmarks.measures import Measure, figures
from benchmarks.memory import memory
from benchmarks.processes import NotStarted, Tree, awake, taking_turns
from benchmarks.programs import Missing
from benchmarks.samples import Sample

Some = TypeVar("Some", Contender, Running)

MOST_STREAMS = 4_000
"""Beyond it, upstream and load client are what is measured."""


@dataclass(frozen=True)
class Plan:
    """What is measured of whom; `seconds` is one window, `probe` one of the search for held streams. `held` and
    `memory` name those of whom these are measured: as often as the rest of ours, once of others, for they take long."""

    contenders: Sequence[Contender]
    measures: Sequence[Measure]
    repetitions: int
    seconds: float
    probe: float
    held: Collection[str] = ()
    memory: Collection[str] = ()
    idle_streams: int = 300


def measured(plan: Plan, missing: dict[str, str]) -> Iterator[Sample]:
    """All samples of a run, as they come. Who can't be measured is put into `missing`, with the reason."""
    with tempfile.TemporaryDirectory(prefix="riverrun-benchmark-") as name, upstream() as behind:
        folder = Path(name)
        yield from _memories(plan, folder, behind, missing)
        with ExitStack() as stack:
            running = list(_all_started(plan, folder, behind, stack, missing))
            stack.enter_context(taking_turns([each.tree for each in running]))
            yield from _interleaved(plan, running, behind, missing)
            yield from _held(plan, running)


def _all_started(
    plan: Plan, folder: Path, behind: Tree, stack: ExitStack, missing: dict[str, str]
) -> Iterator[Running]:
    for contender in plan.contenders:
        with noting(contender.name, missing):
            say(f"starting {contender.title}")
            yield stack.enter_context(started(contender, folder, behind.port))


def _interleaved(plan: Plan, running: Sequence[Running], behind: Tree, missing: dict[str, str]) -> Iterator[Sample]:
    for repetition in range(plan.repetitions):
        for measure in plan.measures:
            for each in rotated(running, repetition):
                load = measure.load(each.contender, plan.seconds)
                if load is None:
                    continue
                say(f"{repetition + 1} of {plan.repetitions}: {measure.title}, {each.contender.title}")
                with awake(each.tree), noting(f"{each.contender.name}, {measure.name}", missing):
                    found = figures(load, each.tree, each.headers, behind, measure.per)
                    yield Sample(measure.name, each.contender.name, repetition, found)


def _held(plan: Plan, running: Sequence[Running]) -> Iterator[Sample]:
    for repetition, each in _turns(plan, [each for each in running if each.contender.name in plan.held]):
        contender = each.contender
        say(f"streams held, {contender.title}")
        first, most = min(100, contender.streams // 2), min(MOST_STREAMS, 20 * contender.streams)
        with awake(each.tree):
            found = held(each.tree, each.headers, plan.probe, first, most)
        for name, count in found.items():
            yield Sample(name, contender.name, repetition, {"streams": float(count)})


def _memories(plan: Plan, folder: Path, behind: Tree, missing: dict[str, str]) -> Iterator[Sample]:
    for repetition, contender in _turns(plan, [each for each in plan.contenders if each.name in plan.memory]):
        say(f"memory, {contender.title}")
        with noting(contender.name, missing), started(contender, folder, behind.port) as each:
            found = memory(each.tree, each.headers, plan.idle_streams, 20 if contender.slow else 300)
            yield Sample("memory", contender.name, repetition, found)


def _turns(plan: Plan, those: Sequence[Some]) -> Iterator[tuple[int, Some]]:
    """Everyone once, and ours again."""
    for repetition in range(plan.repetitions):
        for each in those:
            name = each.name if isinstance(each, Contender) else each.contender.name
            if not repetition or name == OURS:
                yield repetition, each


@contextmanager
def noting(who: str, missing: dict[str, str]) -> Iterator[None]:
    """Turns the failure to measure somebody into a line of `missing`."""
    try:
        yield
    except (NoFigures, NotStarted, Missing) as error:
        missing[who] = str(error)
        say(f"{who}: {error}")


def rotated(items: Sequence[Running], by: int) -> list[Running]:
    """In another order each time, so that nobody always follows the same neighbour."""
    turn = by % len(items) if items else 0
    return [*items[turn:], *items[:turn]]


def say(what: str) -> None:
    """A line on stderr, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
