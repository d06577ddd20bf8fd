"""Where and with what a run was made: the facts that stand below its figures."""

from __future__ import annotations

import os
import platform
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.contenders import Contender
from benchmarks.processes import LOAD_CORE, PROXY_CORE
from benchmarks.programs import Missing

ROOT = Path(__file__).parents[1]


def facts(program: str, contenders: Sequence[Contender] = ()) -> dict[str, str]:
    """Of this run, before it."""
    one, five, _ = os.getloadavg()
    return {
        "command": f"{program} {shlex.join(sys.argv[1:])}".strip(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, "
        f"{platform.system()} {platform.release()}; load before {one:.2f}, {five:.2f}",
        "cores": f"measured: {PROXY_CORE}; upstream and load client: {LOAD_CORE}",
        "files": f"{_file_system()}: what riverrun keeps in files",
        "revision": f"riverrun {version('riverrun')}, {_revision()}, Python {platform.python_version()}",
        **{contender.title: _version(contender) for contender in contenders if contender.name != "direct"},
    }


def prepared() -> None:
    """Lets this process, and its children, open as many files as may be. When it is terminated, it ends them."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _version(contender: Contender) -> str:
    try:
        return contender.version()
    except Missing:
        return "missing"


def _revision() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "no revision"


def _file_system() -> str:
    """Of the temporary folder (TMPDIR)."""
    folder = Path(tempfile.gettempdir()).resolve()
    mounts = [each for each in psutil.disk_partitions(all=True) if folder.is_relative_to(each.mountpoint)]
    return max(mounts, key=lambda each: len(each.mountpoint)).fstype if mounts else "unknown"


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    named = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
