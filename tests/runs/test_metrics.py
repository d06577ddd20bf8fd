"""The numbers: what is counted under which names, in one process and in several."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from prometheus_client.multiprocess import mark_process_dead
from prometheus_client.parser import text_string_to_metric_families

from riverrun.failures import Cause
from riverrun.runs.labels import Labels
from riverrun.runs.metrics import FOLDER, LONGEST_NAME, MOST_NOTED, Metrics, Standing
from tests.runs.test_labels import ALL

ROOT = Path(__file__).parents[2]
CANARY = "canary-4711"


def samples(text: str) -> dict[str, float]:
    """By `name{label="value",…}`; what is none in the text format is an error."""
    families = text_string_to_metric_families(text)
    every = [sample for family in families for sample in family.samples]
    found = {
        each.name + "".join(f",{name}={value}" for name, value in sorted(each.labels.items())): each.value
        for each in every
    }
    assert len(found) == len(every)
    return found


def test_a_request_from_beginning_to_end() -> None:
    metrics = Metrics(Labels(lambda: ALL))
    metrics.run_began()
    metrics.run_began()
    metrics.attempt_ended("gpu1/q", Cause.UPSTREAM_BUSY)
    metrics.attempt_ended("gpu1/q")
    metrics.settled("quick", "provider", 10, 5)
    metrics.settled("fast", "estimated", 7, 0)
    metrics.run_ended("quick", "finished", 4.0, 0.3)
    metrics.refused(Cause.BAD_KEY)
    found = samples(metrics.text().decode())
    assert found["riverrun_requests_total,ending=finished,model=fast"] == 1
    assert found["riverrun_requests_total,ending=bad_key,model=none"] == 1
    assert found["riverrun_tokens_total,direction=in,model=fast,source=provider"] == 10
    assert found["riverrun_tokens_total,direction=out,model=fast,source=provider"] == 5
    assert found["riverrun_tokens_total,direction=in,model=fast,source=estimated"] == 7
    assert found["riverrun_upstream_attempts_total,cause=upstream_busy,target=gpu1/q"] == 1
    assert found["riverrun_upstream_attempts_total,cause=none,target=gpu1/q"] == 1
    assert found["riverrun_first_content_seconds_bucket,le=0.2,model=fast"] == 0
    assert found["riverrun_first_content_seconds_bucket,le=0.4,model=fast"] == 1
    assert found["riverrun_request_duration_seconds_sum,model=fast"] == 4
    assert found["riverrun_streams_running"] == 1
    assert found["process_resident_memory_bytes"] > 0
    assert found["process_open_fds"] > 0


def test_how_the_process_stands() -> None:
    now = [Standing(3, 1000, 2, 1, {"gpu1/q": "open", "gpu1/made-up": "open"})]
    metrics = Metrics(Labels(lambda: ALL), lambda: now[-1])
    found = samples(metrics.text().decode())
    assert (found["riverrun_tapes"], found["riverrun_tape_bytes"]) == (3, 1000)
    assert (found["riverrun_ledger_rows_waiting"], found["riverrun_ledger_rows_dropped_total"]) == (2, 1)
    assert found["riverrun_breaker_state,state=open,target=gpu1/q"] == 1
    assert found["riverrun_breaker_state,state=closed,target=gpu1/q"] == 0
    assert not any("made-up" in name for name in found)
    assert found["riverrun_breaker_state,state=closed,target=openai/mild"] == 1
    now.append(Standing(rows_dropped=4))  # who answers again is in no trouble
    found = samples(metrics.text().decode())
    assert found["riverrun_ledger_rows_dropped_total"] == 4
    assert found["riverrun_breaker_state,state=open,target=gpu1/q"] == 0
    assert found["riverrun_breaker_state,state=closed,target=gpu1/q"] == 1


def test_what_clients_and_upstreams_make_up_is_no_series() -> None:
    metrics = Metrics(Labels(lambda: ALL))
    for number in range(50):
        made_up = f'{CANARY}-{number}"}}\n# evil 1'
        metrics.run_began()
        metrics.run_ended(made_up, made_up, 1.0)
        metrics.run_ended(f"openai/{made_up}", "finished", 1.0)
        metrics.attempt_ended(f"gpu1/{made_up}", Cause.UPSTREAM_ERROR)
        metrics.settled(made_up, "counted", 1, 1)
    text = metrics.text().decode()
    assert CANARY not in text
    found = samples(text)
    assert found["riverrun_requests_total,ending=other,model=other"] == 50
    assert found["riverrun_requests_total,ending=finished,model=other"] == 50
    assert found["riverrun_upstream_attempts_total,cause=upstream_error,target=gpu1/*"] == 50


def test_what_nobody_looks_at_has_its_bound_and_nothing_of_it_is_lost() -> None:
    metrics = Metrics(Labels(lambda: ALL))
    for number in range(2 * MOST_NOTED + 10):
        metrics.run_began()
        metrics.attempt_ended(f"gpu1/{number}")
        metrics.settled(f"made-up-{number}", "counted", 2, 1)
        metrics.run_ended(f"made-up-{number}", "finished", 1.0, 0.5)
        assert len(metrics._runs) < MOST_NOTED
        assert max(len(metrics._firsts), len(metrics._calls), len(metrics._used)) <= MOST_NOTED
    metrics.run_ended("m" * (LONGEST_NAME + 1), "finished", 1.0)
    assert not metrics._runs
    found = samples(metrics.text().decode())
    assert found["riverrun_requests_total,ending=finished,model=other"] == 2 * MOST_NOTED + 11
    assert found["riverrun_first_content_seconds_count,model=other"] == 2 * MOST_NOTED + 10
    assert found["riverrun_upstream_attempts_total,cause=none,target=gpu1/*"] == 2 * MOST_NOTED + 10
    assert found["riverrun_tokens_total,direction=in,model=other,source=counted"] == 2 * (2 * MOST_NOTED + 10)


def test_a_fault_while_the_library_is_told_counts_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics(Labels(lambda: ALL))

    def broken(name: str) -> str:
        raise OSError(28, "no space left")

    metrics.run_began()
    metrics.attempt_ended("gpu1/q")
    metrics.run_ended("quick", "finished", 1.0)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(metrics._labels, "target", broken)
        for _ in range(2):
            with suppress(OSError):
                metrics.tell()
    assert samples(metrics.text().decode())["riverrun_requests_total,ending=finished,model=fast"] == 1


def test_names_keep_to_the_conventions() -> None:
    """Base units, and `_total` for what only grows."""
    for family in text_string_to_metric_families(Metrics(Labels(lambda: ALL)).text().decode()):
        assert re.fullmatch(r"(riverrun|process)_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        assert not family.name.endswith(("_milliseconds", "_count", "_created"))


def test_two_applications_in_one_process_count_for_themselves() -> None:
    one, other = Metrics(Labels(lambda: ALL)), Metrics(Labels(lambda: ALL))
    one.refused(Cause.BAD_REQUEST)
    assert "riverrun_requests_total,ending=bad_request,model=none" not in samples(other.text().decode())


def test_the_numbers_of_several_processes_are_one(tmp_path: Path) -> None:
    """Counters stay when a process dies; what it was doing does not."""
    with ExitStack() as stack:
        one, other = (counter(stack, tmp_path, times) for times in (2, 3))
        alive = said(one)
        other.kill()
        other.wait(60)
        mark_process_dead(other.pid, str(tmp_path))  # type: ignore[no-untyped-call]  # the library's
        third = counter(stack, tmp_path, 1)
        later = said(third)
    assert alive["riverrun_requests_total,ending=finished,model=other"] == 5
    assert alive["riverrun_request_duration_seconds_count,model=other"] == 5
    assert alive["riverrun_upstream_attempts_total,cause=upstream_error,target=other"] == 2
    assert alive["riverrun_ledger_rows_dropped_total"] == 2
    assert (alive["riverrun_streams_running"], alive["riverrun_tapes"]) == (2, 5)
    assert alive["process_open_fds"] > 0
    assert later["riverrun_requests_total,ending=finished,model=other"] == 6
    assert (later["riverrun_streams_running"], later["riverrun_tapes"]) == (2, 3)


def test_one_of_several_processes_tells_how_it_stands_once_a_second(tmp_path: Path) -> None:
    """However much happens in it; and what happened last is told as well."""
    code = """
import asyncio
from riverrun.runs.metrics import LOOK, Metrics, Standing
from riverrun.runs.labels import Labels
from riverrun.routing.table import Table
from tests import virtual
looks = []
metrics = Metrics(Labels(lambda: Table([], {}, lambda name: None)), lambda: looks.append(1) or Standing(tapes=9))
async def main():
    for _ in range(1000):
        metrics.run_began()
        await asyncio.sleep(0.002)
        metrics.run_ended("m", "finished", 1.0)
    metrics.run_began()
    await asyncio.sleep(LOOK)
virtual.run(main())
print(len(looks))
"""
    environ = {**os.environ, FOLDER: str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environ, check=True
    )
    assert int(told.stdout) in (2, 3)
    with ExitStack() as stack:
        found = said(counter(stack, tmp_path, 0))
    assert found["riverrun_requests_total,ending=finished,model=other"] == 1000
    assert (found["riverrun_streams_running"], found["riverrun_tapes"]) == (1 + 1, 9)


def counter(stack: ExitStack, folder: Path, times: int) -> subprocess.Popen[str]:
    """A process that has counted so often; killed at the end of the stack."""
    command = [sys.executable, "-m", "tests.runs.counter", str(times)]
    environ = {**os.environ, FOLDER: str(folder)}
    pipe = subprocess.PIPE
    process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environ))
    stack.callback(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def said(process: subprocess.Popen[str]) -> dict[str, float]:
    """Its numbers, up to the empty line after them."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return samples("".join(iter(process.stdout.readline, "\n")))
