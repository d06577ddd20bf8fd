"""Half an hour of mixed load with faults, and whether anything grows: the resident set, descriptors, threads, streams.

Every round puts each kind of load on one server for some seconds: streams, bursts, JSON, several choices, readers that
leave, upstreams that are cut, upstreams that fail. Then it is calm for a moment, and that moment is measured. Answers
are kept for 30 s instead of minutes, so that as many go as come. Exit code 1 if something grows.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.asking import Load, Seen, asking, upstream
from benchmarks.bounds import OURS
from benchmarks.machine import facts, prepared
from benchmarks.parts import Way, set_up
from benchmarks.processes import Tree
from benchmarks.rounds import say
from benchmarks.run import rewrite_page
from benchmarks.samples import Results, Sample, keep

SETTINGS = '\n[tapes]\nkeep = "30s"\nkeep_keyed = "30s"\nkeep_stored = "30s"\n'
WARMING = 1 / 6
"""The part of the time that is not counted: caches fill, and the allocator finds its size."""
MOST_SLOPE = 1.0
"""MiB in 10 minutes."""
MOST_MORE = 5
"""Descriptors or threads more at the end than after warming up: connections to the upstream come and go."""
STREAMS = re.compile(r"^riverrun_streams_running (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Moment:
    """How the server stands between two rounds."""

    seconds: float
    rss: float
    descriptors: int
    threads: int
    streams: float


def main() -> int:
    options = _options()
    prepared()
    known = facts("benchmarks/soak")
    with (
        tempfile.TemporaryDirectory(prefix="riverrun-soak-") as name,
        upstream(core=None) as behind,
        set_up(Way("soak", SETTINGS), Path(name), behind, core=None) as tree,
    ):
        requests, moments = _soaked(tree, options.minutes * 60, options.round)
    if len(moments) < 3:
        print("benchmarks/soak: too short for a slope; give it more minutes.", file=sys.stderr)
        return 2
    figures = {**_growth(moments), "requests": float(requests)}
    for figure, value in figures.items():
        print(f"{figure}: {value:,.2f}")
    if options.minutes >= 30:
        keep("soak", Results(known, [Sample("soak", OURS, 0, figures)]))
        rewrite_page()
    grows = figures["slope"] > MOST_SLOPE or max(figures["descriptors"], figures["threads"]) > MOST_MORE
    return 1 if grows or figures["streams"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="(default: 30; less is not written to the page)")
    parser.add_argument("--round", type=float, default=6.0, help="seconds of load between two calm moments")
    return parser.parse_args()


def _loads(seconds: float) -> list[Load]:
    """All at once. Failures are what some of them are for."""
    window = f"-f -w 0 -d {seconds}"
    return [
        Load("play-paced-100-10000", f"-c 20 {window}"),
        Load("play-paced-60-5000", f"-c 4 {window}", fields={"n": 3}),
        Load("play-burst-300", f"-c 2 -q 20 {window}"),
        Load("play-burst-1", f"-c 4 -q 60 {window}", stream=False),
        Load("play-paced-1000-10000", f"-c 6 -a 20 {window}"),  # readers that leave
        Load("play-cut-30", f"-c 2 -q 10 {window}"),
        Load("play-cut-0", f"-c 2 -q 10 {window}", stream=False),
        Load("play-error", f"-c 2 -q 10 {window}"),
    ]


def _soaked(tree: Tree, seconds: float, round_seconds: float) -> tuple[int, list[Moment]]:
    """How many requests there were, and every calm moment after warming up."""
    began, requests = time.monotonic(), 0
    moments: list[Moment] = []
    while (passed := time.monotonic() - began) < seconds:
        requests += sum(seen.answers + seen.failed for seen in _round(tree, _loads(round_seconds)))
        time.sleep(2)
        moment = _moment(tree, time.monotonic() - began)
        say(f"{moment.seconds:.0f} s, {requests} requests: {moment}")
        if passed >= seconds * WARMING:
            moments.append(moment)
    return requests, moments


def _round(tree: Tree, loads: Sequence[Load]) -> Iterator[Seen]:
    with ExitStack() as stack:
        asked = [stack.enter_context(asking(load, tree.port, core=None)) for load in loads]
        for each in asked:
            each.begun()
        yield from [each.seen() for each in asked]


def _moment(tree: Tree, seconds: float) -> Moment:
    with urllib.request.urlopen(f"http://127.0.0.1:{tree.port}/metrics", timeout=30) as answer:
        found = STREAMS.search(answer.read().decode())
    threads = sum(psutil.Process(pid).num_threads() for pid in tree.processes())
    return Moment(seconds, tree.rss() / 2**20, tree.descriptors(), threads, float(found[1]) if found else 0.0)


def _growth(moments: Sequence[Moment]) -> dict[str, float]:
    """The slope of the resident set by least squares, and the rest as last less first (the least of three each)."""
    mean_x = sum(moment.seconds for moment in moments) / len(moments)
    mean_y = sum(moment.rss for moment in moments) / len(moments)
    above = sum((moment.seconds - mean_x) * (moment.rss - mean_y) for moment in moments)
    below = sum((moment.seconds - mean_x) ** 2 for moment in moments)
    first, last = moments[:3], moments[-3:]
    return {
        "slope": above / below * 600,
        "first": first[0].rss,
        "last": last[-1].rss,
        "descriptors": float(min(each.descriptors for each in last) - min(each.descriptors for each in first)),
        "threads": float(min(each.threads for each in last) - min(each.threads for each in first)),
        "streams": min(each.streams for each in last),
    }


if __name__ == "__main__":
    sys.exit(main())
