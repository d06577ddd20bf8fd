"""What the runs of this process did, as numbers for Prometheus. Counted per request and per attempt, never per chunk.

A request only notes, in plain numbers; the library is told when somebody looks: it takes 30 calls for each request.

Knows no tenant, key, prompt or address, so that none can get out (SEC14); and no HTTP. With PROMETHEUS_MULTIPROC_DIR
set before this is imported, the numbers are those of all processes that share the folder.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from riverrun.failures import Cause
from riverrun.routing.breaker import State
from riverrun.runs.labels import OTHER, Labels
from riverrun.runs.processes import Processes
from riverrun.store.contract import Source

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

NO_MODEL = "none"
"""The model of a request that was refused before one was looked for."""

FINE = "none"
"""The cause of an attempt that did not fail."""

ENDINGS = {cause.name.lower() for cause in Cause} | {"finished", "cancelled"}
STATES: tuple[State, ...] = ("closed", "half-open", "open")

FIRST_CONTENT = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0, 300.0)
WHOLE = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 150.0, 300.0, 600.0, 1800.0)
"""Bounds in seconds; the longest are the usual deadlines of targets that think."""

LOOK = 1.0
"""Seconds in which one of several processes tells how it stands, while anything happens in it. One that is alone tells
it when it is asked."""

MOST_NOTED = 512
"""Runs of which the library is told at once, in about 2 ms: memory has its bound where nobody looks."""

LONGEST_NAME = 256
"""Characters of a model's name with which it is noted for later: clients make them up."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads


class Standing(msgspec.Struct, frozen=True):
    """How the process stands at this moment. `rows_dropped` counts from its start; `breakers` are those of
    targets in trouble, by name; all other configured ones (`Labels.targets`) are well."""

    tapes: int = 0
    tape_bytes: int = 0
    rows_waiting: int = 0
    rows_dropped: int = 0
    breakers: Mapping[str, State] = {}


Runs = defaultdict[tuple[str, str], list[float]]
"""Seconds, by model and ending."""

Firsts = defaultdict[str, list[float]]
"""Seconds, by model."""

Calls = defaultdict[tuple[str, Cause | None], int]
"""How many, by target and cause."""

UsedTokens = defaultdict[tuple[str, Source], list[int]]
"""Tokens in and out, by model and who counted."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Labelled(Protocol[T_co]):
    """A metric with labels."""

    def labels(self, *values: str) -> T_co: ...


class Series(dict[tuple[str, ...], T]):
    """Those of one metric, by their labels' values: the library's own look-up takes 3 µs each time. As many as the
    library keeps itself, since every value is one of `Labels` or of a table here."""

    def __init__(self, metric: Labelled[T]) -> None:
        self._metric = metric

    def __missing__(self, values: tuple[str, ...]) -> T:
        found = self[values] = self._metric.labels(*values)
        return found


class Metrics:
    """One application's numbers. `standing` is asked at each scrape, and every `LOOK` seconds in one of several
    processes; so much of its numbers is lost if that one is killed."""

    def __init__(self, labels: Labels, standing: Callable[[], Standing] = Standing) -> None:
        own = CollectorRegistry()
        self._labels = labels
        self._standing = standing
        self._dropped_before = 0
        self._now_running = 0
        self._looking: asyncio.TimerHandle | None = None
        self._noted = 0  # runs that the library was not told of; and what of them, by names as they came:
        self._runs: Runs = defaultdict(list)
        self._firsts: Firsts = defaultdict(list)
        self._calls: Calls = defaultdict(int)
        self._used: UsedTokens = defaultdict(_no_tokens)
        self._states: dict[str, State] = {}  # of breakers, as they were told last
        self._requests = _counter("riverrun_requests", "Requests by how they ended.", own, ("model", "ending"))
        self._tokens = _counter(
            "riverrun_tokens", "Tokens of upstream calls, and who counted them.", own, ("model", "direction", "source")
        )
        self._first = _histogram(
            "riverrun_first_content_seconds", "From the request to its first content.", own, FIRST_CONTENT
        )
        self._whole = _histogram("riverrun_request_duration_seconds", "From the request to its end.", own, WHOLE)
        self._attempts = _counter(
            "riverrun_upstream_attempts",
            'Upstream calls that ended, by the cause of their failure, or "none".',
            own,
            ("target", "cause"),
        )
        self._running = _gauge("riverrun_streams_running", "Answers that are being made.", own)
        self._breakers = Series(
            _gauge(
                "riverrun_breaker_state",
                "Processes whose breaker of a target is in this state.",
                own,
                ("target", "state"),
            )
        )
        self._tapes = _gauge("riverrun_tapes", "Tapes that are kept.", own)
        self._tape_bytes = _gauge("riverrun_tape_bytes", "Memory that tapes take.", own)
        self._waiting = _gauge("riverrun_ledger_rows_waiting", "Rows of the ledger that are not on disk yet.", own)
        self._dropped = Counter(
            "riverrun_ledger_rows_dropped", "Rows of the ledger that could not be kept.", registry=own
        )
        self._several = FOLDER in os.environ
        self._registry = _shared() if self._several else own
        if not self._several:
            ProcessCollector(registry=own)

    def run_began(self) -> None:
        """An answer is being made; `run_ended` follows exactly once."""
        self._now_running += 1
        if self._several and self._looking is None:
            self._look_soon()

    def run_ended(self, model: str, ending: str, seconds: float, first_content: float | None = None) -> None:
        """`model` as it was asked for, `ending` as in the ledger. Times are from the request; None: no content came."""
        self._now_running -= 1
        self._runs[model, ending].append(seconds)
        if first_content is not None:
            self._firsts[model].append(first_content)
        self._noted += 1
        if self._noted >= MOST_NOTED or len(model) > LONGEST_NAME:
            self._tell_noted()
        if self._several and self._looking is None:
            self._look_soon()

    def refused(self, cause: Cause) -> None:
        """A request for an answer that began none: bad input, a wrong key, a full server."""
        self._requests[NO_MODEL, cause.name.lower()].inc()

    def attempt_ended(self, target: str, cause: Cause | None = None) -> None:
        """An upstream call is over; None: it did not fail."""
        self._calls[target, cause] += 1
        if self._several and self._looking is None:
            self._look_soon()

    def settled(self, model: str, source: Source, prompt_tokens: int, completion_tokens: int) -> None:
        """What an attempt used, as its row in the ledger has it."""
        used = self._used[model, source]
        used[0] += prompt_tokens
        used[1] += completion_tokens

    def text(self) -> bytes:
        """All numbers in Prometheus's text format (CONTENT_TYPE)."""
        self.tell()
        return generate_latest(self._registry)

    def tell(self) -> None:
        """Everything that was noted, and how the process stands: now, because somebody looks, or nobody will again."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._tell_noted()
        self._tell_standing()

    def _tell_noted(self) -> None:
        """Under the labels that hold now. What was noted is let go of first: a fault here counts nothing twice."""
        labels = self._labels
        self._noted = 0
        runs, self._runs = self._runs, defaultdict(list)
        firsts, self._firsts = self._firsts, defaultdict(list)
        calls, self._calls = self._calls, defaultdict(int)
        used, self._used = self._used, defaultdict(_no_tokens)
        for (model, ending), times in runs.items():
            label = labels.model(model)
            self._requests[label, ending if ending in ENDINGS else OTHER].inc(len(times))
            _observe(self._whole[(label,)], times)
        for model, times in firsts.items():
            _observe(self._first[(labels.model(model),)], times)
        for (target, cause), count in calls.items():
            self._attempts[labels.target(target), FINE if cause is None else cause.name.lower()].inc(count)
        for (model, source), (prompt, completion) in used.items():
            label = labels.model(model)
            self._tokens[label, "in", source].inc(prompt)
            self._tokens[label, "out", source].inc(completion)

    def _look_soon(self) -> None:
        """Once for all that happens meanwhile; at once where no loop runs."""
        try:
            self._looking = asyncio.get_running_loop().call_later(LOOK, self.tell)
        except RuntimeError:
            self.tell()

    def _tell_standing(self) -> None:
        now = self._standing()
        self._running.set(self._now_running)
        self._tapes.set(now.tapes)
        self._tape_bytes.set(now.tape_bytes)
        self._waiting.set(now.rows_waiting)
        self._dropped.inc(now.rows_dropped - self._dropped_before)
        self._dropped_before = now.rows_dropped
        for target in self._labels.targets():
            state = now.breakers.get(target, "closed")
            if self._states.get(target) != state:
                self._states[target] = state
                for each in STATES:
                    self._breakers[target, each].set(each == state)


def _no_tokens() -> list[int]:
    """Of the prompt, of the completion."""
    return [0, 0]


def _observe(metric: Histogram, times: list[float]) -> None:
    observe = metric.observe
    for each in times:
        observe(each)


def _counter(name: str, about: str, registry: CollectorRegistry, labels: tuple[str, ...]) -> Series[Counter]:
    return Series(Counter(name, about, labels, registry=registry))


def _histogram(name: str, about: str, registry: CollectorRegistry, bounds: tuple[float, ...]) -> Series[Histogram]:
    return Series(Histogram(name, about, ("model",), registry=registry, buckets=bounds))


def _gauge(name: str, about: str, registry: CollectorRegistry, labels: tuple[str, ...] = ()) -> Gauge:
    """Added up over the processes that live."""
    return Gauge(name, about, labels, registry=registry, multiprocess_mode="livesum")


def _shared() -> CollectorRegistry:
    """Of every process that counts in the folder."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's
    registry.register(Processes(os.environ[FOLDER]))
    return registry
