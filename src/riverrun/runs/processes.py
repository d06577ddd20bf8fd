"""The processes that count together, as one: memory and descriptors added up. Knows the folder that they share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import Metric, ProcessCollector
from prometheus_client.registry import Collector

EARLIEST = {"process_start_time_seconds"}
"""Of these the least is told; all others are added up."""


class Processes(Collector):
    """Every process that has a file of live gauges in `folder`; whoever starts them takes the files of the dead away
    (`prometheus_client.multiprocess.mark_process_dead`)."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        merged: dict[str, Metric] = {}
        for pid in sorted(self._pids()):
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                merged[metric.name] = _together(merged[metric.name], metric) if metric.name in merged else metric
        return merged.values()

    def _pids(self) -> Iterator[int]:
        """gauge_livesum_PID.db"""
        for file in self._folder.glob("gauge_livesum_*.db"):
            pid = file.stem.rpartition("_")[2]
            if pid.isdecimal():
                yield int(pid)


def _together(one: Metric, other: Metric) -> Metric:
    join = min if one.name in EARLIEST else _sum
    (first,), (second,) = one.samples, other.samples
    one.samples = [first._replace(value=join(first.value, second.value))]
    return one


def _sum(first: float, second: float) -> float:
    return first + second
