"""Upstreams from a configuration, the rows and the environment's keys."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.config import UpstreamConfig
from riverrun.config.values import decode
from riverrun.dialects.rows import ROWS
from riverrun.dialects.sources import REMEMBERED, Upstream, found, upstream

HERE = {"base_url": "http://gpu1:8000/v1"}


def made(name: str, environ: dict[str, str] | None = None, /, **settings: object) -> Upstream:
    return upstream(name, msgspec.convert(settings, UpstreamConfig, dec_hook=decode), environ or {})


def test_an_upstream_as_the_operator_writes_it() -> None:
    gpu1 = made(
        "gpu1",
        dialect="openai",
        key="canary",
        prefill="continue_final_message",
        extra=["top_k"],
        deadlines={"first_token": "7s"},
        **HERE,
    )
    target = gpu1.target("org/qwen3-32b")
    assert (target.name, target.model, target.base_url) == ("gpu1/org/qwen3-32b", "org/qwen3-32b", HERE["base_url"])
    assert (target.key, target.auth, target.prefill, target.deadlines.first_token) == ("canary", "bearer", True, 7.0)
    assert target.row == gpu1.row_name != "compatible"
    assert gpu1.row.extra == ("top_k",)
    assert gpu1.row.finish_reasons == ROWS["compatible"].finish_reasons
    assert "canary" not in f"{gpu1} {target}"


def test_a_target_is_made_once_and_no_flood_of_names_is_remembered() -> None:
    gpu1 = made("gpu1", **HERE)
    first = gpu1.target("m")
    assert gpu1.target("m") is first
    assert gpu1.target("m", thinks=True) is not first
    for number in range(2 * REMEMBERED):
        assert gpu1.target(f"m{number}").model == f"m{number}"
        assert len(gpu1.targets) <= REMEMBERED
    assert gpu1.target("m") == first


def test_without_changes_it_has_its_row_as_it_is() -> None:
    assert made("gpu1", **HERE).row_name == "compatible"
    assert made("gpu1", like="vllm", **HERE).row_name == "vllm"
    assert made("gpu1", dialect="anthropic", **HERE).row_name == "anthropic"
    assert made("groq", {"GROQ_API_KEY": "k"}).row_name == "groq"


def test_who_may_be_a_riverrun_is_asked_and_the_operator_knows_better() -> None:
    assert made("gpu1", **HERE).target("m").resumes
    assert made("gpu1", like="compatible", key="k", **HERE).target("m").resumes
    assert not made("gpu1", resumes=False, **HERE).target("m").resumes
    assert not made("gpu1", like="vllm", **HERE).target("m").resumes
    assert made("gpu1", like="vllm", resumes=True, **HERE).target("m").resumes
    assert not made("groq", {"GROQ_API_KEY": "k"}).target("m").resumes


def test_the_same_changes_are_the_same_row() -> None:
    names = {made(name, extra=["a"], **HERE).row_name for name in ("x", "y")}
    assert len(names) == 1
    assert made("x", extra=["b"], **HERE).row_name not in names


def test_a_key_comes_from_the_variable_that_the_row_names() -> None:
    openai = made("openai", {"OPENAI_API_KEY": "from-outside"})
    assert (openai.key, openai.variable, openai.base_url) == (
        "from-outside",
        "OPENAI_API_KEY",
        "https://api.openai.com/v1",
    )
    given = made("openai", {"OPENAI_API_KEY": "from-outside"}, key="own")
    assert (given.key, given.variable) == ("own", None)


def test_a_key_from_outside_goes_to_its_own_provider_only() -> None:
    assert made("groq", {"GROQ_API_KEY": "k"}, **HERE).key is None
    azure = made("azure", {"AZURE_OPENAI_API_KEY": "k"}, base_url="https://me.openai.azure.com/openai/v1")
    assert azure.key == "k"


def test_prefill_patterns_of_the_operator_come_first() -> None:
    mistral = made("mistral", {"MISTRAL_API_KEY": "k"}, prefill={"magistral-*": "none"})
    assert not mistral.target("magistral-small").prefill
    assert mistral.target("mistral-small").prefill
    assert not made("mistral", {"MISTRAL_API_KEY": "k"}, prefill="none").target("mistral-small").prefill


def test_upstreams_that_think_have_time() -> None:
    assert made("a", thinks=True, **HERE).target("m").deadlines.first_token == 300.0
    plain = made("a", **HERE).target("m")
    assert plain.deadlines.first_token == 30.0
    assert plain.thinking is not None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "base_url is missing"),
        ({"like": "vlm", **HERE}, "did you mean `vllm`"),
        ({"dialect": "opnai", **HERE}, "did you mean `openai`"),
        ({"like": "groq", "dialect": "anthropic", **HERE}, "speaks 'openai'"),
        ({"like": "groq"}, "set GROQ_API_KEY"),
        ({"auth": "magic", **HERE}, r"\$.auth"),
        ({"prefill": "maybe", **HERE}, r"\$.prefill"),
        ({"extra": "some", **HERE}, r"\$.extra"),
    ],
)
def test_what_is_wrong_is_said(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made("gpu1", **settings)


def test_keys_in_the_environment_make_upstreams() -> None:
    assert found({}) == ()
    assert found({"OPENAI_API_KEY": ""}) == ()
    environ = {"ANTHROPIC_API_KEY": "a", "AZURE_OPENAI_API_KEY": "only the operator knows where"}
    assert found(environ) == ("anthropic",)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.base_url is not None])
def test_every_row_with_an_address_makes_a_target(name: str) -> None:
    environ = dict.fromkeys(ROWS[name].env, "key")
    target = made(name, environ).target("some-model")
    assert (target.row, target.auth, target.n) == (name, ROWS[name].auth, ROWS[name].n)
