from __future__ import annotations

import msgspec
import pytest

from riverrun.dialects.rows import ROWS, parse_rows
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
