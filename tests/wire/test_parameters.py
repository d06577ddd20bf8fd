"""The ranges of wire-format.md, section 1.1, at each end."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.wire.parameters import ChatRequest
from tests.wire.valid import with_

RANGES = {
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "temperature": (0, 2),
    "top_p": (0, 1),
    "n": (1, 128),
    "top_logprobs": (0, 20),
    "max_tokens": (1, None),
    "max_completion_tokens": (1, None),
    "seed": (-(2**63), 2**63 - 1),
}
VALUES = {
    "prompt_cache_retention": ["in_memory", "24h"],
    "reasoning_effort": ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
    "service_tier": ["auto", "default", "flex", "scale", "priority", "fast"],
    "verbosity": ["low", "medium", "high"],
    "function_call": ["none", "auto"],
    "tool_choice": ["none", "auto", "required"],
}
SWITCHES = ["logprobs", "parallel_tool_calls", "store", "stream"]
WORDS = ["prompt_cache_key", "safety_identifier", "user"]


def read(**changes: object) -> ChatRequest:
    return msgspec.json.decode(with_(**changes), type=ChatRequest)


@pytest.mark.parametrize(("name", "low", "high"), [(name, *ends) for name, ends in RANGES.items()])
def test_ranges(name: str, low: int, high: int | None) -> None:
    for inside in (low, high):
        assert getattr(read(**{name: inside}), name) == inside
    outside = [low - 1] if high is None else [low - 1, high + 1]
    for value in outside:
        with pytest.raises(msgspec.ValidationError):
            read(**{name: value})


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    for value in VALUES[name]:
        assert getattr(read(**{name: value}), name) == value
    for wrong in ("", "AUTO", 1, True):
        with pytest.raises(msgspec.ValidationError):
            read(**{name: wrong})


@pytest.mark.parametrize("name", SWITCHES)
def test_switches(name: str) -> None:
    assert [getattr(read(**{name: value}), name) for value in (True, False, None)] == [True, False, None]
    for value in (0, 1, "true"):
        with pytest.raises(msgspec.ValidationError):
            read(**{name: value})


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str) -> None:
    assert getattr(read(**{name: "x"}), name) == "x"
    with pytest.raises(msgspec.ValidationError):
        read(**{name: 1})
