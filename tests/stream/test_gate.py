"""Nothing passes before something is said, and then everything does."""

import pytest

from riverrun.stream.deltas import Annotation, Delta, Finish, Open, Reasoning, Refusal, Text, ToolOpen, Usage
from riverrun.stream.gate import Gate, commits

QUIET: list[Delta] = [
    Open(0, "m"),
    Usage(1, 2),
    Text(0, b'""'),
    Text(0, b'" \\n\\u00a0"'),
    Reasoning(0, b'""'),
    Refusal(0, b'""'),
]
LOUD: list[Delta] = [
    Text(0, b'"a"'),
    Text(0, b'" a"'),
    Reasoning(0, b'"\\n"'),
    Refusal(0, b'"n"'),
    ToolOpen(0, 0, "c", "f"),
    Annotation(0, b"{}"),
    Finish(0, "stop"),
]


@pytest.mark.parametrize("delta", QUIET, ids=str)
def test_what_says_nothing_is_held(delta: Delta) -> None:
    gate = Gate()
    assert not commits(delta)
    assert gate.passed([delta]) == []
    assert not gate.open


@pytest.mark.parametrize("delta", LOUD, ids=str)
def test_what_says_something_passes_with_all_that_was_held(delta: Delta) -> None:
    gate = Gate()
    for quiet in QUIET:
        assert gate.passed([quiet]) == []
    assert gate.passed([delta]) == [*QUIET, delta]
    assert gate.open
    assert gate.passed(QUIET) == QUIET
