"""A worker process that counts: `python -m tests.runs.counter TIMES`, then it says its numbers and waits for stdin."""

from __future__ import annotations

import sys

from riverrun.failures import Cause
from riverrun.routing.table import Table
from riverrun.runs.labels import Labels
from riverrun.runs.metrics import Metrics, Standing


def main(times: int) -> None:
    table = Table([], {}, lambda name: None)
    metrics = Metrics(Labels(lambda: table), lambda: Standing(tapes=times, rows_dropped=1))
    for _ in range(times):
        metrics.run_began()
        metrics.run_ended("m", "finished", 1.0, 0.1)
    metrics.run_began()
    metrics.attempt_ended("t", Cause.UPSTREAM_ERROR)
    print("counted", flush=True)
    sys.stdin.readline()
    print(metrics.text().decode(), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]))
