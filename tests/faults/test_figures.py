"""The rows of the published table, some tries of each; and how many tries come to one line."""

from __future__ import annotations

import pytest

from tests.faults.figures import COLUMNS, measured, quantile, summed
from tests.faults.rows import Outcome, Row, every, spread

WHOLE = Outcome(whole=True, gap=1.0)
IN_SUITE = [
    pytest.param(row, id=f"{row.fault} {row.what}", marks=[getattr(pytest.mark, row.mark)] if row.mark else [])
    for row in every()
    if row.in_suite
]


@pytest.mark.parametrize("row", IN_SUITE)
def test_a_row(row: Row) -> None:
    figures = measured(row, row.in_suite)
    assert figures.tried == min(row.in_suite, row.tries)
    assert figures.passes(row), (figures.line, figures.broken)


def test_the_nearest_rank() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.99) == 2.0


def test_tries_are_spread_evenly() -> None:
    assert list(spread(range(100), 4)) == [0, 25, 50, 75]
    assert list(spread(range(3), 9)) == [0, 1, 2]


def test_a_line_has_a_cell_for_each_column() -> None:
    line = summed("it breaks", [WHOLE, Outcome(whole=False, told=True, note="half of them")]).line
    cells = dict(zip(COLUMNS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))
    assert cells["what is done"] == "it breaks"
    assert (cells["tried"], cells["whole"], cells["told an error"]) == ("2", "1", "1")
    assert (cells["gap p50"], cells["besides"]) == ("1.00 s", "half of them")


@pytest.mark.parametrize(
    "bad",
    [
        Outcome(whole=False),
        Outcome(whole=False, told=True, wrong_bytes=1),
        Outcome(whole=False, told=True, false_success=True),
        Outcome(whole=True, broken="two upstream calls"),
    ],
)
def test_one_bad_try_is_one_too_many(bad: Outcome) -> None:
    lenient = Row("X7", "it breaks", 2, lambda n: [WHOLE, bad], may_lose=True)
    assert not measured(lenient).passes(lenient)


def test_an_answer_may_be_lost_only_where_the_row_says_so() -> None:
    row = Row("X7", "it breaks", 2, lambda n: [WHOLE, Outcome(whole=False, told=True)])
    assert not measured(row).passes(row)
    assert measured(row).passes(row._replace(may_lose=True))


def test_a_row_that_tried_nothing_has_shown_nothing() -> None:
    row = Row("X7", "it breaks", 2, lambda n: [], may_lose=True)
    assert not measured(row).passes(row)
