"""How many threads the engine may have: one fewer than this process's cores, so that the server is never starved."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def engine_threads() -> int:
    """One fewer than the cores, at least 1. Hyper-threads do not count: they share the units that the engine uses."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 2
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed, cgroup_cores(CGROUP)) - 1)


def cgroup_cores(folder: Path) -> int:
    """Whole cores that the control group (v2) at `folder` may use; without a quota, more than any machine has."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 16
