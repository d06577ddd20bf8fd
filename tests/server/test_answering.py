"""A configuration, the environment's keys and this machine's models as one table."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.config import Config
from riverrun.config.values import decode
from riverrun.failures import Cause, Failure
from riverrun.routing.table import Table
from riverrun.routing.target import Target
from riverrun.server.answering import Answering, Local, answering, local_names

GPU = {"base_url": "http://gpu1:8000/v1"}


def configured(**sections: object) -> Config:
    return msgspec.convert(sections, Config, dec_hook=decode)


def judged(config: Config, environ: dict[str, str] | None = None) -> Answering:
    return answering(config, environ or {}, Local(["smollm2-135m", "mine"]))


def open_names(table: Table) -> list[str]:
    return [name for name, _ in table.entries() if "*" in name]


def model(*targets: object, **more: object) -> dict[str, object]:
    return {"name": "fast", "targets": targets, **more}


def test_without_a_configuration_keys_and_local_models_answer() -> None:
    table = judged(Config(), {"ANTHROPIC_API_KEY": "k", "HOME": "/"}).table
    assert table.names() == ("smollm2-135m", "mine")
    assert open_names(table) == ["anthropic/*"]
    found = table.find("anthropic/claude-sonnet-4-5")
    assert found is not None
    assert found.tiers[0][0].target.dialect == "anthropic"
    assert table.find("openai/gpt-5") is None


def test_a_configuration_that_says_who_answers_opens_nothing_else() -> None:
    environ = {"ANTHROPIC_API_KEY": "k"}
    assert open_names(judged(configured(upstream={"gpu1": GPU}), environ).table) == []
    assert open_names(judged(configured(server={"port": 1}), environ).table) == ["anthropic/*"]


def test_a_target_may_name_an_upstream_that_needs_no_section() -> None:
    config = configured(upstream={"gpu1": GPU}, model=[model("gpu1/q", "openai/gpt-5-mini", "local/smollm2")])
    found = judged(config, {"OPENAI_API_KEY": "k"}).table.find("fast")
    assert found is not None
    assert [tier[0].target.name for tier in found.tiers] == ["gpu1/q", "openai/gpt-5-mini", "smollm2-135m"]
    assert found.tiers[1][0].target.key == "k"


def test_a_local_model_brings_its_sampling() -> None:
    found = Local(["smollm2-135m"]).find("SmolLM2")
    assert found is not None
    assert dict(found.tiers[0][0].target.sampling)
    assert Local([]).find("smollm2") is None


@pytest.mark.parametrize(
    ("name", "said", "context"),
    [
        ("smollm2-135m", None, 8192),
        ("smollm2-135m", 512, 512),
        ("smollm2-135m", 65536, 8192),
        ("qwen3-0.6b", None, 8192),
        ("qwen3-0.6b", 65536, 32768),
        ("mine", 512, None),  # nobody knows what it was made for until it runs
    ],
)
def test_the_window_of_a_local_model_is_known_before_it_runs(name: str, said: int | None, context: int | None) -> None:
    found = Local([name], said).find(name)
    assert found is not None
    assert found.tiers[0][0].target.context == context


def test_what_a_running_engine_says_of_its_window_counts_more() -> None:
    local = Local(["smollm2-135m"])
    local.target = lambda name: Target(name, name, "", "engine", context=4096)
    assert local.source("smollm2-135m").context == 4096


def test_a_target_may_undo_that_its_upstream_thinks() -> None:
    targets = ["gpu1/a", {"target": "gpu1/b", "thinks": False}, {"target": "gpu2/c", "thinks": True}]
    gpu1 = {**GPU, "thinks": True, "deadlines": {"idle": "7s"}}
    found = judged(configured(upstream={"gpu1": gpu1, "gpu2": GPU}, model=[model(*targets)])).table.find("fast")
    assert found is not None
    spans = [(tier[0].target.deadlines.first_token, tier[0].target.deadlines.idle) for tier in found.tiers]
    assert spans == [(300.0, 7.0), (30.0, 7.0), (300.0, 120.0)]


def test_a_local_target_may_be_said_to_think() -> None:
    local = Local(["smollm2-135m"])
    assert local.source("smollm2-135m", True).deadlines.first_token == 300.0
    assert local.source("smollm2-135m").deadlines == local.source("smollm2-135m", False).deadlines


def test_an_upstream_or_local_model_that_only_fallbacks_name_is_found() -> None:
    named = {"content_policy": ["groq/q", "local/smollm2"]}
    config = configured(upstream={"gpu1": GPU}, model=[model("gpu1/q", fallbacks=named)])
    found = judged(config, {"GROQ_API_KEY": "k"}).table.find("fast")
    assert found is not None
    assert [each.name for each in found.fallbacks[Cause.CONTENT_POLICY]] == ["groq/q", "smollm2-135m"]
    assert "smollm2" in local_names(config)


def test_rows_that_the_operator_changed_are_given() -> None:
    answers = judged(configured(upstream={"gpu1": {**GPU, "extra": ["top_k"]}, "gpu2": GPU}))
    changed = answers.upstreams["gpu1"].row_name
    assert answers.rows[changed].extra == ("top_k",)
    assert answers.upstreams["gpu2"].row_name == "compatible"


def test_local_names_are_those_to_serve_and_those_that_targets_name() -> None:
    config = configured(
        engine={"models": ["smollm2-135m", "/models/mine.gguf"]},
        model=[model("local/qwen", "local/mine"), {"name": "l/*", "targets": ["local/*"]}],
    )
    assert local_names(config) == ["smollm2-135m", "/models/mine.gguf", "qwen"]


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"upstream": {"gpu1": {}}}, "upstream.gpu1: base_url is missing"),
        ({"upstream": {"gpu1": {"base_url": "gpu1:8000"}}}, "upstream.gpu1.base_url: .*http"),
        ({"upstream": {"gpu1": {**GPU, "like": "vlm"}}}, "upstream.gpu1: like: .*did you mean `vllm`"),
        ({"model": [model("gpt1/x")], "upstream": {"gpu1": GPU}}, r"no upstream 'gpt1'; did you mean `gpu1`\?"),
        ({"model": [model("openai/gpt-5")]}, "upstream.openai: key is missing: set OPENAI_API_KEY"),
        ({"model": [model("local/smollm")]}, "local/smollm: no such model is loaded; did you mean `smollm2-135m`"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(sections: dict[str, object], said: str) -> None:
    with pytest.raises(Failure, match=said):
        judged(configured(**sections))
