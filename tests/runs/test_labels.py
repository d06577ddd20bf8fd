"""Names in metrics: as many as are configured, whatever clients ask for."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from riverrun.config import ModelConfig
from riverrun.config.values import decode
from riverrun.dialects.rows import ROWS
from riverrun.routing.table import Source, Table
from riverrun.routing.target import Target
from riverrun.runs.labels import Labels


def source(upstream: str) -> Source:
    def named(model: str, thinks: bool | None) -> Target:
        return Target(name=f"{upstream}/{model}", model=model, base_url="http://x", row=next(iter(ROWS)))

    return named


def table(*models: dict[str, object], open: tuple[str, ...] = ()) -> Table:
    read = [msgspec.convert(each, ModelConfig, dec_hook=decode) for each in models]
    sources = {name: source(name) for name in ("gpu1", "openai")}
    return Table(read, sources, lambda name: None, open=open)


ALL = table(
    {"name": "fast", "aliases": ["quick"], "targets": ["gpu1/q"], "fallbacks": {"content_policy": ["openai/mild"]}},
    {"name": "gpu1/*", "targets": ["gpu1/*"]},
    open=("openai",),
)


def test_a_name_an_alias_a_pattern_and_what_is_unknown() -> None:
    labels = Labels(lambda: ALL)
    assert labels.model("fast") == "fast"
    assert labels.model("quick") == "fast"
    assert labels.model("gpu1/whatever") == "gpu1/*"
    assert labels.model("openai/gpt-x") == "openai/*"
    assert labels.model("nonsense") == "other"
    assert labels.target("gpu1/q") == "gpu1/q"
    assert labels.target("openai/mild") == "openai/mild"
    assert labels.target("openai/gpt-x") == "openai/*"
    assert labels.target("elsewhere/x") == "other"
    assert labels.targets() == {"gpu1/q", "openai/mild"}


def test_names_that_a_default_answers_are_its_own() -> None:
    labels = Labels(lambda: table({"name": "fast", "targets": ["gpu1/q"], "default": True}))
    assert labels.model("whatever a client says") == "fast"


def test_a_new_configuration_counts() -> None:
    tables = [ALL]
    labels = Labels(lambda: tables[-1])
    assert labels.model("slow") == "other"
    tables.append(table({"name": "slow", "targets": ["gpu1/z"]}))
    assert labels.model("slow") == "slow"
    assert labels.target("gpu1/q") == "other"


@given(st.text() | st.sampled_from(["gpu1/", "openai/", "fast"]).flatmap(lambda begin: st.text().map(begin.__add__)))
def test_no_text_makes_a_series_of_its_own(text: str) -> None:
    labels = Labels(lambda: ALL)
    assert labels.model(text) in {"fast", "quick", "gpu1/*", "openai/*", "other"}
    assert labels.target(text) in {"gpu1/q", "openai/mild", "gpu1/*", "openai/*", "other"}
