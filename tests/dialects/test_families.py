from __future__ import annotations

import pytest

from riverrun.dialects.families import LEAST_BUDGET, TABLE, family, thinking


@pytest.mark.parametrize(
    ("names", "kind", "schemas"),
    [
        (["claude-3-5-sonnet-latest", "anthropic.claude-v2", "claude-3-opus-20240229"], "none", "tool"),
        (
            ["claude-sonnet-4-20250514", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude-opus-4-1"],
            "budget",
            "tool",
        ),
        (["claude-sonnet-4-5@20250929", "anthropic.claude-haiku-4-5-20251001-v1:0"], "budget", "native"),
        (["claude-opus-4-6", "Claude-Opus-5", "claude-opus-4-8", "claude-fable-5"], "adaptive", "native"),
        (["google.gemma-3-27b-it"], "none", "native"),
        (["us.amazon.nova-pro-v1:0", "glm-5", ""], "none", "tool"),
    ],
)
def test_every_name_has_a_family(names: list[str], kind: str, schemas: str) -> None:
    for name in names:
        assert (family(name).thinking, family(name).schemas) == (kind, schemas), name


def test_no_row_is_hidden_by_one_above_it() -> None:
    for row in TABLE.family:
        for pattern in row.match:
            assert family(pattern.replace("*", "")) is row, pattern


@pytest.mark.parametrize("limit", [2048, 4000, 64000])
def test_a_budget_leaves_half_of_the_limit_to_the_answer(limit: int) -> None:
    for effort in TABLE.budgets:
        told = thinking(family("claude-sonnet-4-5"), effort, limit)
        assert told is not None
        inner = told["thinking"]
        assert isinstance(inner, dict)
        budget = inner["budget_tokens"]
        assert isinstance(budget, int)
        assert LEAST_BUDGET <= budget <= limit // 2


def test_where_there_is_no_room_to_think_nothing_is_told() -> None:
    assert thinking(family("claude-sonnet-4-5"), "high", 2000) is None
    assert thinking(family("glm-5"), "high", 64000) is None
    assert thinking(family("glm-5"), "none", 64000) == {}
    assert thinking(family("claude-mythos-5"), "none", 64000) is None
