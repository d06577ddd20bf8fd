"""Several processes and one ledger: no row is lost, and what a killed one left open is found."""

from __future__ import annotations

import selectors
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from riverrun.store.ledger import SqliteLedger
from riverrun.store.sums import usage
from tests.store.rows import attempted, count, settled, stored

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def writer(stack: ExitStack, file: Path, name: str, requests: int) -> subprocess.Popen[str]:
    """Started; killed at the end of the stack, if not before."""
    command = [sys.executable, "-m", "tests.store.writer", str(file), name, str(requests)]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
    stack.callback(process.kill)
    return process


def says_open(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(PATIENCE), "the writer says nothing"
    return process.stdout.readline() == "open\n"


def test_processes_that_write_at_once_lose_no_row(tmp_path: Path) -> None:
    """They also open it, and make its tables, at the same moment."""
    file = tmp_path / "ledger.sqlite"
    with ExitStack() as stack:
        writers = [writer(stack, file, name, 400) for name in ("one", "two", "three")]
        assert all([says_open(each) for each in writers])
        assert [count(file, table) for table in ("reserve", "attempt", "settle")] == [1203, 1203, 1200]


def test_a_killed_process_leaves_open_attempts_that_another_settles(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    with ExitStack() as stack:
        process = writer(stack, file, "one", 3)
        assert says_open(process)
        process.kill()
        process.wait(PATIENCE)
    found = usage(file, ["tenant"])
    assert ([each.requests for each in found.sums], found.open) == ([3], 1)
    ledger = SqliteLedger(file)
    assert ledger.open_attempts("one-open") == [attempted("one-open")]
    assert ledger.open_attempts("one-2") == []
    ledger.settle(settled("one-open", source="estimated"))
    assert ledger.open_attempts("one-open") == []
    ledger.close()
    assert [row[7] for row in stored(file, "settle")] == ["provider"] * 3 + ["estimated"]
