"""The rows of the published table, every so many-th try of each; and the page itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.figures import HEAD, measured, quantile
from tests.faults.rows import Row, rows

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
TRIES = 12
COLUMNS = [column.strip() for column in HEAD.strip("|").split("|")]


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: f"{row.fault} {row.what}")
def test_a_row(row: Row) -> None:
    stride = max(1, len(row.tries) // TRIES)
    figures = measured(row, stride)
    assert figures.tried >= min(TRIES, len(row.tries))
    assert figures.honest, figures
    goes_on = "says it again" in row.what or ("takes a prefill" in row.what and row.fault != "X13")
    if goes_on and "silent" not in row.what:
        assert figures.whole == figures.tried, figures.line


def test_the_nearest_rank() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.99) == 2.0


def lines() -> list[dict[str, str]]:
    cells = [re.split(r"\s*\|\s*", line)[1:-1] for line in PAGE.read_text("utf-8").splitlines() if line[:1] == "|"]
    return [dict(zip(COLUMNS, each, strict=True)) for each in cells if each[2].isdecimal()]


def test_the_page_has_every_row_and_nothing_false_on_it() -> None:
    published = lines()
    assert {(each[""], each["fault"]) for each in published} >= {(row.fault, row.what) for row in rows()}
    assert len(published) >= len(list(rows())) + 3
    for each in published:
        zeros = (each["false successes"], each["bytes lost or doubled"], each["lost without a word"])
        assert zeros == ("0", "0", "0"), each
        assert int(each["tried"]) == int(each["whole"]) + int(each["told an error"])


def test_real_engines_were_killed_and_no_answer_was_lost() -> None:
    killed = [each for each in lines() if "kill -9" in each["fault"]]
    assert [int(each["tried"]) for each in killed] == [10, 50]
    for each in killed:
        assert each["whole"] == each["tried"], each
