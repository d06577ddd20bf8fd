from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.config import UpstreamConfig
from riverrun.config.values import decode
from riverrun.dialects.rows import ROWS
from riverrun.dialects.sources import upstream
from riverrun.dialects.windows import TABLE, WINDOWS, window
from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import Attempts
from riverrun.routing.target import Target

KEYS = {name: "k" for row in ROWS.values() for name in row.env}
ROUTERS = {"compatible", "openrouter", "huggingface", "azure", "azure-deployments"}
"""Rows at which a model's name says nothing of its window."""


def target(name: str, model: str, **settings: object) -> Target:
    return upstream(name, msgspec.convert(settings, UpstreamConfig, dec_hook=decode), KEYS).target(model)


@pytest.mark.parametrize(
    ("row", "tokens", "names"),
    [
        ("openai", 128_000, ["gpt-4o", "gpt-4o-mini-2024-07-18", "ft:gpt-4o-2024-08-06:us::x", "gpt-5-chat-latest"]),
        ("openai", 8_192, ["gpt-4", "gpt-4-0613"]),
        ("openai", 272_000, ["gpt-5", "gpt-5-2025-08-07", "gpt-5-mini", "gpt-5.4-mini"]),
        ("responses", 922_000, ["gpt-5.4", "gpt-5.5-pro"]),
        ("anthropic", 200_000, ["claude-3-5-haiku-latest", "claude-sonnet-4-20250514", "claude-opus-4-5"]),
        ("anthropic", 1_000_000, ["claude-opus-4-6", "Claude-Opus-5", "claude-fable-5"]),
        ("vertex", 1_048_576, ["gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview"]),
        ("gemini", 8_192, ["gemini-2.5-flash-preview-tts"]),
        (
            "bedrock-key",
            200_000,
            [
                "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
                "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ],
        ),
        ("groq", 131_072, ["openai/gpt-oss-20b"]),
        ("together", 131_072, ["meta-llama/Llama-3.3-70B-Instruct-Turbo"]),
    ],
)
def test_a_model_is_known_at_its_provider(row: str, tokens: int, names: list[str]) -> None:
    assert {name: window(row, name) for name in names} == dict.fromkeys(names, tokens)


@pytest.mark.parametrize("name", ["gpt-7", "gpt-5.9", "claude-opus-6", "gpt-4ever", "", "o2", "gemini-9-pro"])
def test_an_unknown_name_has_no_window_anywhere(name: str) -> None:
    assert {row for row in ROWS if window(row, name)} == set()


def test_a_name_says_nothing_at_somebody_elses() -> None:
    assert window("anthropic", "gpt-4o") is None
    assert not ROUTERS & set(WINDOWS)
    assert {row for row in ROUTERS if window(row, "gpt-4o")} == set()


def test_every_row_exists_once_and_has_figures_that_can_be() -> None:
    rows = [row for provider in TABLE.provider for row in provider.rows]
    assert len(rows) == len(set(rows))
    assert set(rows) <= set(ROWS)
    assert all(2**12 < each.tokens <= 10_000_000 for windows in WINDOWS.values() for each in windows)


def test_no_pattern_is_hidden_by_one_above_it() -> None:
    for row, windows in WINDOWS.items():
        for each in windows:
            for pattern in each.match:
                assert pattern == pattern.lower(), "names are compared in lower case"
                assert window(row, pattern.replace("*", "")) == each.tokens, (row, pattern)


@given(st.sampled_from(sorted(WINDOWS)), st.text(max_size=30))
def test_no_name_is_trouble(row: str, name: str) -> None:
    assert window(row, name) in {None, *(each.tokens for each in WINDOWS[row])}


def test_a_target_has_its_catalogue_row() -> None:
    assert target("openai", "gpt-4.1").context == 1_047_576
    assert target("openai", "gpt-4.1", extra=["anything"]).context == 1_047_576
    assert target("openai", "gpt-9").context is None
    assert target("aws", "amazon.nova-pro-v1:0", like="bedrock", base_url="https://here.example").context == 300_000


def test_the_configuration_is_right_about_it() -> None:
    assert target("openai", "gpt-4.1", context=5000).context == 5000
    assert target("openai", "gpt-9", context=5000).context == 5000


def test_at_another_address_the_same_name_may_be_anything() -> None:
    elsewhere = "http://gpu1:8000/v1"
    assert target("openai", "gpt-4.1", base_url=elsewhere).context is None
    assert target("gpu1", "gpt-4.1", dialect="openai", base_url=elsewhere).context is None
    assert target("groq", "openai/gpt-oss-20b", base_url=elsewhere).context is None


def test_a_prompt_too_long_goes_to_the_model_that_is_known_to_hold_more() -> None:
    names = ("gpt-4o", "gpt-9", "gpt-4-turbo", "gpt-4.1")
    targets = [target("openai", name) for name in names]
    everybody = {each.name for each in targets}
    tries = Attempts(targets, 1, Random(1))
    tries.first(everybody)
    again = tries.after(targets[0], Failure(Cause.CONTEXT_TOO_LONG, "x"), everybody, left=30.0)
    assert again is not None
    assert again.target.name == "openai/gpt-4.1"
