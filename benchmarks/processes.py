"""Process trees: started on one core, measured from outside, ended. Knows the kernel's books; refuses to know what the
processes do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

START_LIMIT = 120.0
STOP_LIMIT = 10.0
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, LOAD_CORE = CORES[-1], CORES[0]
"""What is measured has a core of its own; upstream and load client share the other one."""


class NotStarted(Exception):
    """A program died or did not listen in time; the end of its log says why."""


@dataclass(frozen=True)
class Tree:
    """A process and all that it started. Without a process (`pid` 0: nobody in between) every figure is 0."""

    pid: int
    port: int

    def processes(self) -> list[int]:
        """Those that live now."""
        if not self.pid:
            return []
        try:
            top = psutil.Process(self.pid)
            return [self.pid, *(child.pid for child in top.children(recursive=True))]
        except psutil.NoSuchProcess:
            return []

    def cpu(self) -> float:
        """Seconds of processor time so far, user and system, of all threads, those that ended included.

        It is the clock of each process (clock_getcpuclockid(3)): what /proc/PID/stat has in ticks, in nanoseconds.
        """
        return sum(_cpu_clock(pid) for pid in self.processes())

    def halt(self) -> None:
        """It stands still: not even a timer of its own goes off."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """It goes on where it stood still."""
        self._signal(signal.SIGCONT)

    def pss(self) -> int:
        """Bytes of memory: pages of its own, and its part of those that are shared."""
        return sum(_rolled_up(pid).get("Pss", 0) for pid in self.processes()) * 1024

    def rss(self) -> int:
        """Bytes of memory, shared pages counted in each process."""
        return sum(_rolled_up(pid).get("Rss", 0) for pid in self.processes()) * 1024

    def descriptors(self) -> int:
        """Open files and sockets."""
        return sum(_descriptors(pid) for pid in self.processes())

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def taking_turns(trees: Sequence[Tree]) -> Iterator[None]:
    """All of them stand still but for those that are `awake`: an idle server has timers too, and one that was left in
    the middle of its work goes on with it in the next one's time."""
    for tree in trees:
        tree.halt()
    try:
        yield
    finally:
        for tree in trees:
            tree.wake()


@contextmanager
def awake(tree: Tree) -> Iterator[None]:
    """It is this one's turn."""
    tree.wake()
    try:
        yield
    finally:
        tree.halt()


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    log: Path,
    core: int | None = PROXY_CORE,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Tree]:
    """A server, from the moment it listens on its port. Raises NotStarted."""
    with log.open("wb") as written:
        child = subprocess.Popen(
            pinned(command, core),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
    try:
        _wait_for(port, child, log)
        yield Tree(child.pid, port)
    finally:
        end(child)


def pinned(command: Sequence[str], core: int | None) -> list[str]:
    """The command on one core alone; None: on any."""
    return list(command) if core is None else ["taskset", "-c", str(core), *command]


def end(child: subprocess.Popen[bytes]) -> None:
    """Asks it to leave; then it and what it started is killed."""
    if child.poll() is None:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_LIMIT)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + START_LIMIT
    while time.monotonic() < limit:
        if child.poll() is not None:
            raise NotStarted(f"it exited with {child.returncode} and said: {_last_words(log)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise NotStarted(f"it did not listen within {START_LIMIT:.0f} s and said: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-400:].strip() or "nothing"


def _cpu_clock(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:  # it has ended meanwhile
        return 0.0


def _rolled_up(pid: int) -> dict[str, int]:
    """Of /proc/PID/smaps_rollup, in KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0
