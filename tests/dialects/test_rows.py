from __future__ import annotations

import msgspec
import pytest

from riverrun.dialects.rows import ROWS, Row, derived, parse_rows
from riverrun.wire.request import ChatRequest

PARAMETERS = set(ChatRequest.__struct_fields__)


def test_the_rows_that_the_product_names() -> None:
    assert {"engine", "openai", "compatible"} <= ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_speaks_of_parameters_that_exist_and_of_each_once(name: str) -> None:
    row = ROWS[name]
    named = [*row.ours, *row.refused, *row.dropped]
    assert set(named) <= PARAMETERS
    assert len(named) == len(set(named))
    if row.extra != "any":
        assert not set(row.extra) & PARAMETERS


@pytest.mark.parametrize("word", ["template", "slot", "lora", "grammar", "path", "file", "json_schema", "prompt"])
def test_the_engines_extras_shape_sampling_only(word: str) -> None:
    assert not [name for name in ROWS["engine"].extra if word in name]


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(msgspec.ValidationError):
        parse_rows("[x]\ncolour = 'red'")
    with pytest.raises(msgspec.ValidationError):
        parse_rows("[x]\nauth = 'password'")


def test_a_row_says_only_how_it_differs_from_the_one_it_is_like() -> None:
    rows = parse_rows(
        """
        [first]
        extra = ["a"]
        n = "fan-out"
        rename = { seed = "s" }
        [second]
        like = "first"
        extra = ["b"]
        rename = { stop = "end" }
        """
    )
    assert rows["second"] == Row(extra=("b",), n="fan-out", rename={"seed": "s", "stop": "end"})
    assert rows["first"].rename == {"seed": "s"}


def test_only_what_stands_at_an_address_of_ones_own_may_be_a_riverrun() -> None:
    resuming = {name for name, row in ROWS.items() if row.resumes}
    assert "compatible" in resuming
    assert not [name for name in resuming if ROWS[name].base_url is not None]
    assert not [name for name in resuming if ROWS[name].env]
    rows = parse_rows("[first]\nresumes = true\n[second]\nlike = 'first'\n[third]\nlike = 'first'\nresumes = true")
    assert [row.resumes for row in rows.values()] == [True, False, True]


def test_a_row_can_only_be_like_one_that_stands_above_it() -> None:
    with pytest.raises(ValueError, match="'second'"):
        parse_rows("[first]\nlike = 'second'\n[second]\n")


def test_a_row_can_be_changed_for_one_upstream() -> None:
    mine = derived(ROWS["vllm"], {"extra": ["top_k"], "prefill": {"*": "plain"}, "base_url": "http://gpu1/v1"})
    assert (mine.extra, mine.prefill_of("any"), mine.base_url) == (("top_k",), "plain", "http://gpu1/v1")
    assert mine.finish_reasons == ROWS["vllm"].finish_reasons
    with pytest.raises(msgspec.ValidationError):
        derived(ROWS["vllm"], {"prefill": {"*": "somehow"}})


def test_the_first_pattern_that_fits_a_model_says_how_it_goes_on() -> None:
    row = Row(prefill={"*-thinking": "none", "good-*": "prefix"})
    models = ("good-1", "good-1-thinking", "other")
    assert [row.prefill_of(model) for model in models] == ["prefix", "none", "none"]
