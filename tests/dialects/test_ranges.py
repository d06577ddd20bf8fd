from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.ranges import UNKNOWN_CONTEXT
from riverrun.dialects.rows import ROWS
from tests.dialects.asks import ask, engine, refused, sent, target


def test_every_extra_of_the_engine_has_a_range() -> None:
    assert set(ROWS["engine"].ranges) == set(ROWS["engine"].extra)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("top_k", "40", "invalid_type"),
        ("top_k", 1.5, "invalid_type"),
        ("top_k", True, "invalid_type"),
        ("top_k", 2**40, "integer_above_max_value"),
        ("min_p", -0.1, "decimal_below_min_value"),
        ("ignore_eos", 1, "invalid_type"),
        ("repeat_last_n", 300_000_000, "integer_above_max_value"),
        ("repeat_last_n", 4097, "integer_above_max_value"),
        ("dry_penalty_last_n", 300_000_000, "integer_above_max_value"),
        ("dry_penalty_last_n", -1, "integer_below_min_value"),
        ("dry_sequence_breakers", [], "empty_array"),
        ("dry_sequence_breakers", ["x"] * 17, "array_above_max_length"),
        ("samplers", {"a": 1}, "invalid_type"),
    ],
)
def test_an_extra_out_of_its_range_is_refused_by_name(name: str, value: Any, code: str) -> None:
    failure = refused(ask(**{name: value}), engine(context=4096))
    assert (failure.status, failure.param, failure.code) == (400, name, code)


@pytest.mark.parametrize(("name", "value"), [("dry_sequence_breakers", ["x" * 65]), ("samplers", ["zz"])])
def test_an_element_out_of_its_range_is_refused_by_its_place(name: str, value: Any) -> None:
    failure = refused(ask(**{name: value}), engine(context=4096))
    assert (failure.status, failure.param) == (400, f"{name}[0]")


def test_what_is_within_its_range_is_passed_on() -> None:
    extras: dict[str, Any] = {
        "repeat_last_n": 4096,
        "repeat_penalty": 1,
        "samplers": ["top_k", "temperature"],
        "ignore_eos": False,
    }
    body = sent(ask(**extras, min_p=None), engine(context=4096))
    assert {name: body[name] for name in extras} == extras


def test_a_context_that_is_not_known_is_bounded_as_well() -> None:
    assert sent(ask(repeat_last_n=UNKNOWN_CONTEXT), engine())["repeat_last_n"] == UNKNOWN_CONTEXT
    assert refused(ask(repeat_last_n=UNKNOWN_CONTEXT + 1), engine()).param == "repeat_last_n"


def test_other_rows_leave_their_own_parameters_to_the_upstream() -> None:
    assert sent(ask(repeat_last_n=10**9), target())["repeat_last_n"] == 10**9
    assert sent(ask(repeat_last_n=-1), target("llamacpp"))["repeat_last_n"] == -1
