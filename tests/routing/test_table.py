"""Which model answers to a name, and in which order its targets are."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from riverrun.config import Config, ModelConfig
from riverrun.config.values import decode
from riverrun.failures import Cause
from riverrun.routing.model import Model, single
from riverrun.routing.table import MOST_FITTED, Table
from riverrun.routing.target import Deadlines, Target

USUAL = Deadlines(first_token=30.0)
THINKING = Deadlines(first_token=300.0)


def source(upstream: str, model: str, thinks: bool | None) -> Target:
    deadlines = THINKING if thinks else USUAL
    return Target(f"{upstream}/{model}", model, "http://x/v1", "compatible", deadlines=deadlines, thinking=THINKING)


def own(name: str) -> Model | None:
    found = {"tiny": "tiny", "TINY": "tiny"}.get(name)
    return single(Target(found, found, "", "engine")) if found else None


def table(*models: dict[str, object], open: tuple[str, ...] = ()) -> Table:
    configured: tuple[ModelConfig, ...] = msgspec.convert({"model": list(models)}, Config, dec_hook=decode).model
    sources = {name: partial(source, name) for name in ("a", "b", "openai")}
    return Table(configured, sources, own, ("tiny",), open)


def asked(found: Model | None) -> list[list[str]]:
    assert found is not None
    return [[each.target.name for each in tier] for tier in found.tiers]


def test_targets_stand_in_their_order_and_neighbours_with_a_weight_in_one_tier() -> None:
    weighted = [{"target": "a/2", "weight": 3}, {"target": "b/2", "weight": 1}]
    fast = table({"name": "fast", "targets": ["a/1", *weighted, "b/3", {"target": "a/4", "weight": 1}]}).find("fast")
    assert asked(fast) == [["a/1"], ["a/2", "b/2"], ["b/3"], ["a/4"]]
    assert fast is not None
    assert [each.weight for each in fast.tiers[1]] == [3, 1]


def test_what_a_model_says_of_itself_arrives() -> None:
    row = {"name": "m", "targets": ["a/1"], "retries": 3, "continue": "any", "hedge_after": "500ms"}
    found = table(row).find("m")
    assert found is not None
    assert (found.retries, found.continues, found.hedge_after) == (3, "any", 0.5)


def test_what_is_said_of_a_target_in_its_place() -> None:
    said = {"target": "a/1", "context": 99, "same": "qwen", "thinks": True, "deadlines": {"idle": "1s", "total": "off"}}
    found = table({"name": "m", "targets": [said, "b/1"]}).find("m")
    assert found is not None
    one, other = found.tiers[0][0].target, found.tiers[1][0].target
    assert (one.context, one.label, other.context, other.label) == (99, "qwen", None, "1")
    assert (one.deadlines.first_token, one.deadlines.idle, one.deadlines.total) == (300.0, 1.0, None)
    assert (other.deadlines, other.thinking) == (USUAL, THINKING)


def test_fallbacks_are_targets_too() -> None:
    named = {"context_too_long": [{"target": "b/*", "context": 99}, "a/fixed"]}
    found = table({"name": "x*", "targets": ["a/*"], "fallbacks": named}).find("x1")
    assert found is not None
    assert {cause: [(each.name, each.context) for each in every] for cause, every in found.fallbacks.items()} == {
        Cause.CONTEXT_TOO_LONG: [("b/1", 99), ("a/fixed", None)]
    }
    with pytest.raises(LookupError, match="zzz"):
        table({"name": "m", "targets": ["a/1"], "fallbacks": {"upstream_busy": ["zzz/1"]}})


def test_an_alias_is_the_same_model() -> None:
    names = table({"name": "m", "aliases": ["n"], "targets": ["a/1"]})
    assert names.find("n") is names.find("m")
    assert names.names() == ("m", "n", "tiny")


def test_a_star_carries_over_into_the_targets() -> None:
    names = table({"name": "gpt-*", "aliases": ["o/gpt-*"], "targets": ["openai/gpt-*", "a/fixed"]})
    assert asked(names.find("gpt-5-mini")) == [["openai/gpt-5-mini"], ["a/fixed"]]
    assert asked(names.find("o/gpt-5")) == [["openai/gpt-5"], ["a/fixed"]]
    assert names.find("gpt-") is None
    assert names.names() == ("tiny",)
    assert {name: asked(model) for name, model in names.entries()} == {
        "tiny": [["tiny"]],
        "gpt-*": [["openai/gpt-*"], ["a/fixed"]],
        "o/gpt-*": [["openai/gpt-*"], ["a/fixed"]],
    }


def test_an_exact_name_comes_before_a_pattern_and_the_first_pattern_before_the_next() -> None:
    names = table(
        {"name": "x-*", "targets": ["a/*"]},
        {"name": "*", "targets": ["b/*"]},
        {"name": "x-1", "targets": ["b/one"]},
    )
    assert asked(names.find("x-1")) == [["b/one"]]
    assert asked(names.find("x-2")) == [["a/2"]]
    assert asked(names.find("y")) == [["b/y"]]
    assert asked(names.find("tiny")) == [["tiny"]]


def test_this_machines_models_answer_by_name_alias_and_as_local() -> None:
    names = table()
    assert asked(names.find("TINY")) == asked(names.find("local/tiny")) == [["tiny"]]
    assert names.find("local/huge") is None
    assert names.find("local") is None


def test_open_upstreams_answer_for_all_their_models() -> None:
    names = table(open=("openai",))
    assert asked(names.find("openai/gpt-5")) == [["openai/gpt-5"]]
    assert asked(names.find("openai/org/model")) == [["openai/org/model"]]
    assert names.find("openai/") is None
    assert names.find("a/1") is None
    assert [name for name, _ in names.entries()] == ["tiny", "openai/*"]


@pytest.mark.parametrize(
    "name", ["openai/a\r\nset-cookie: x", "openai/a b", "openai/\0", "openai/ä", "openai/" + 250 * "a"]
)
def test_what_could_break_a_header_is_no_name(name: str) -> None:
    assert table({"name": "*", "targets": ["a/*"]}, open=("openai",)).find(name) is None


def test_a_default_answers_for_every_other_name() -> None:
    names = table({"name": "m", "targets": ["a/1"], "default": True}, {"name": "x*", "targets": ["b/1"]})
    assert asked(names.find("whatever")) == [["a/1"]]
    assert asked(names.find("xyz")) == [["b/1"]]


def test_an_upstream_that_is_not_there_is_an_error_also_behind_a_pattern() -> None:
    for name in ("m", "m*"):
        with pytest.raises(LookupError, match="zzz"):
            table({"name": name, "targets": ["zzz/1"]})


def test_what_a_pattern_was_found_for_is_remembered_and_bounded() -> None:
    names = table({"name": "gpt-*", "targets": ["openai/gpt-*"]})
    first = names.find("gpt-5")
    assert names.find("gpt-5") is first
    for number in range(MOST_FITTED):
        assert asked(names.find(f"gpt-{number}-made-up")) == [[f"openai/gpt-{number}-made-up"]]
    assert names.find("gpt-5") is not first
    assert names.find("gpt-5") == first
