from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.stream.keywords import FAR, LARGEST, flaws, narrowed

BOUND = st.one_of(st.integers(-9, 9), st.floats(-9, 9), st.sampled_from([FAR, -FAR, 2**63, -(2**64), 1e300, -1e300]))


def flaw(schema: dict[str, Any], *, strict: bool = False) -> str | None:
    """The keyword of the first flaw."""
    return next((name for name, _ in flaws(schema, strict=strict)), None)


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("type", {"type": {"a": 1}}),
        ("type", {"type": [{}]}),
        ("type", {"type": []}),
        ("type", {"type": None}),
        ("properties", {"properties": [1]}),
        ("$defs", {"$defs": 5}),
        ("anyOf", {"anyOf": []}),
        ("oneOf", {"oneOf": {}}),
        ("prefixItems", {"prefixItems": "x"}),
        ("enum", {"enum": []}),
        ("pattern", {"pattern": 5}),
        ("format", {"format": 5}),
        ("additionalProperties", {"additionalProperties": 5}),
        ("minimum", {"minimum": "1"}),
        ("exclusiveMinimum", {"exclusiveMinimum": True}),
        ("minLength", {"minLength": -5}),
        ("maxLength", {"maxLength": 1.5}),
        ("maxItems", {"maxItems": None}),
        ("minItems", {"minItems": 100_000}),
        ("minLength", {"minLength": 2001}),
    ],
)
def test_values_that_a_keyword_cannot_have(keyword: str, schema: dict[str, Any]) -> None:
    assert flaw(schema) == keyword


@pytest.mark.parametrize(
    ("keyword", "schema"),
    [
        ("minLength", {"minLength": 5, "maxLength": 1}),
        ("minItems", {"minItems": 3, "maxItems": 1}),
        ("minimum", {"type": "integer", "minimum": 5, "maximum": 1}),
        ("minimum", {"type": "number", "minimum": 5, "maximum": 1}),
        ("minimum", {"minimum": 5, "exclusiveMaximum": 5}),
        ("exclusiveMinimum", {"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 6}),
        ("minimum", {"type": ["integer", "null"], "minimum": 1.2, "maximum": 1.8}),
        ("minimum", {"type": "integer", "minimum": 2**53}),
        ("enum", {"type": "integer", "enum": ["a", True]}),
        ("const", {"type": "string", "const": 5}),
        ("const", {"enum": ["a"], "const": "b"}),
        ("pattern", {"pattern": "^a{5,1}$"}),
        ("required", {"properties": {"a": {}}, "required": ["b"], "additionalProperties": False}),
    ],
)
def test_keywords_that_nothing_fits_together(keyword: str, schema: dict[str, Any]) -> None:
    assert flaw(schema) == keyword


def test_what_is_passed_over_is_a_flaw_where_a_guarantee_was_asked_for() -> None:
    schema: dict[str, Any] = {"type": "string", "maxLength": 5000, "title": "Text"}
    assert flaw(schema) is None
    assert flaw(schema, strict=True) == "maxLength"
    assert narrowed(schema) == {"type": "string", "title": "Text"}


def test_only_values_of_the_type_can_be_chosen() -> None:
    assert narrowed({"type": ["integer", "null"], "enum": [1, "a", None, True, 2.0]})["enum"] == [1, None, 2.0]
    assert narrowed({"enum": [1, "a"]}) == {"enum": [1, "a"]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"minimum": 0}, {"minimum": 0}),
        ({"minimum": 1.5, "maximum": 3}, {"minimum": 1.5, "maximum": 3}),
        ({"minimum": -(2**63), "maximum": 2**63 - 1}, {"minimum": -(2**63), "maximum": 2**63 - 1}),
        ({"minimum": FAR}, {"minimum": FAR, "maximum": LARGEST}),
        ({"exclusiveMaximum": -FAR}, {"minimum": -LARGEST, "maximum": -FAR - 1}),
    ],
)
def test_a_far_bound_of_an_integer_gets_its_other_one(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert narrowed({"type": "integer", **schema}) == {"type": "integer", **expected}


@given(st.dictionaries(st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), BOUND))
def test_a_range_is_refused_exactly_where_no_integer_is_in_it(bounds: dict[str, Any]) -> None:
    schema = {"type": "integer", **bounds}
    near = [value + step for value in (0, *bounds.values()) if abs(value) < LARGEST for step in (-1, 0, 1)]
    fitting = [int(each) for each in near if jsonschema.Draft202012Validator(schema).is_valid(int(each))]
    assert (flaw(schema) is None) == bool(fitting)
    if fitting:
        kept = narrowed(schema)
        assert all(jsonschema.Draft202012Validator(kept).is_valid(each) for each in fitting)
