"""What the ledger adds up to, against sums made by hand and by Python."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.store.contract import Source
from riverrun.store.ledger import SqliteLedger
from riverrun.store.sums import Sum, usage
from tests.store.rows import AT, attempted, reserved, settled

DAY = 86_400.0


def test_sums_by_tenant_and_model_and_one_more_column(tmp_path: Path) -> None:
    file = tmp_path / "l.sqlite"
    ledger = SqliteLedger(file)
    ledger.reserve(reserved("a"))
    ledger.attempt(attempted("a", 1, "gpu1/q"))
    ledger.settle(settled("a", 1, "estimated", (7, 0)))
    ledger.attempt(attempted("a", 2, "openai/x"))
    ledger.settle(settled("a", 2, "provider", (10, 5), AT + DAY))
    ledger.reserve(reserved("b", "beta"))
    ledger.attempt(attempted("b"))
    ledger.settle(settled("b", 1, "counted", (1, 2)))
    ledger.attempt(attempted("b", 2))
    ledger.close()
    found = usage(file, ["tenant", "model"])
    assert found.open == 1
    assert found.sums == (
        Sum({"tenant": "acme", "model": "fast"}, 1, 2, 17, 5, 4, 2, provider=15, counted=0, estimated=7),
        Sum({"tenant": "beta", "model": "fast"}, 1, 1, 1, 2, 2, 1, provider=0, counted=3, estimated=0),
    )
    by_target = usage(file, ["tenant", "target"]).sums
    assert [each.by for each in by_target] == [
        {"tenant": "acme", "target": "gpu1/q"},
        {"tenant": "acme", "target": "openai/x"},
        {"tenant": "beta", "target": "gpu1/q"},
    ]
    assert [each.by["day"] for each in usage(file, ["day"]).sums] == ["2027-01-15", "2027-01-16"]
    (late,) = usage(file, ["tenant"], AT + 1).sums
    assert (late.by, late.prompt_tokens) == ({"tenant": "acme"}, 10)


def test_a_row_whose_reservation_was_lost_still_counts(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.sqlite")
    ledger.settle(settled("a"))
    ledger.close()
    (found,) = usage(tmp_path / "l.sqlite", ["tenant", "model", "target"]).sums
    assert (found.by, found.requests) == ({"tenant": "", "model": "", "target": ""}, 1)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="nothing in the ledger"):
        usage(tmp_path / "none.sqlite", ["tenant"])


Tokens = st.integers(0, 1_000_000)
Rows = st.lists(st.tuples(st.sampled_from(["acme", "beta"]), st.sampled_from(get_args(Source)), Tokens, Tokens))


@given(Rows)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_counted_twice_and_nothing_left_out(
    tmp_path: Path, rows: list[tuple[str, Source, int, int]]
) -> None:
    file = tmp_path / "l.sqlite"
    file.unlink(missing_ok=True)
    ledger = SqliteLedger(file)
    for number, (tenant, source, prompt, completion) in enumerate(rows):
        ledger.reserve(reserved(f"c{number}", tenant))
        ledger.attempt(attempted(f"c{number}"))
        ledger.settle(settled(f"c{number}", 1, source, (prompt, completion)))
    ledger.close()
    sums = {each.by["tenant"]: each for each in usage(file, ["tenant"]).sums}
    for tenant in ("acme", "beta"):
        mine = [row for row in rows if row[0] == tenant]
        found = sums.get(tenant, Sum({}, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        assert found.requests == len(mine)
        assert (found.prompt_tokens, found.completion_tokens) == (sum(r[2] for r in mine), sum(r[3] for r in mine))
        assert found.estimated == sum(row[2] + row[3] for row in mine if row[1] == "estimated")
        assert found.provider + found.counted + found.estimated == found.prompt_tokens + found.completion_tokens
