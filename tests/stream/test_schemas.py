from __future__ import annotations

from typing import Any

import pytest

from riverrun.failures import Failure
from riverrun.stream.schemas import Place, fitted

THERE = Place("tools", "function 'f'", "#/$defs/f0")


def test_references_are_made_to_hold_where_the_schema_will_stand() -> None:
    schema: Any = {
        "$ref": "#/$defs/N",
        "$defs": {"N": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}]}}}},
        "properties": {"$ref": {"type": "string"}, "self": {"$ref": "#"}, "a": {"const": {"$ref": "#/x"}}},
    }
    out: Any = fitted(schema, THERE)
    assert out["$ref"] == "#/$defs/f0/$defs/N"
    assert out["$defs"]["N"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/f0/$defs/N"}
    assert out["properties"] == {
        "$ref": {"type": "string"},
        "self": {"$ref": "#/$defs/f0"},
        "a": {"const": {"$ref": "#/x"}},
    }
    assert schema["$ref"] == "#/$defs/N"


def test_pointers_follow_escapes_and_lists() -> None:
    schema: Any = {"$defs": {"a/b": {}}, "anyOf": [{"type": "null"}], "x": {}, "properties": {}}
    schema["properties"]["p"] = {"$ref": "#/anyOf/0"}
    schema["properties"]["q"] = {"$ref": "#/$defs/a~1b"}
    assert fitted(schema, THERE)


def test_true_is_any_value() -> None:
    schema: Any = {"properties": {"a": True}, "items": True, "additionalProperties": True, "prefixItems": [True]}
    assert fitted(schema, THERE) == {
        "properties": {"a": {}},
        "items": {},
        "additionalProperties": True,
        "prefixItems": [{}],
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "foo"},
        {"type": ["string", "foo"]},
        {"properties": {"a": False}},
        {"items": 5},
        {"anyOf": [{"type": "foo"}]},
        {"additionalProperties": {"type": "foo"}},
        {"$ref": "http://127.0.0.1/x.json"},
        {"$ref": "#/$defs/none"},
        {"$ref": 5},
        {"$ref": "#anchor"},
        {"$ref": "#"},
        {"$defs": {"a_b": {}, "a-b": {}}, "anyOf": [{"$ref": "#/$defs/a_b"}, {"$ref": "#/$defs/a-b"}]},
    ],
)
def test_what_the_grammar_would_refuse_or_mistake_is_named(schema: Any) -> None:
    with pytest.raises(Failure) as caught:
        fitted(schema, THERE)
    assert (caught.value.status, caught.value.param) == (400, "tools")
    assert "function 'f'" in caught.value.message


@pytest.mark.parametrize(
    "schema",
    [
        {"not": {}},
        {"patternProperties": {}},
        {"pattern": "[a-z]"},
        {"pattern": "^(?=a)a$"},
        {"type": "number", "minimum": 3},
        {"maxProperties": 2},
    ],
)
def test_what_it_passes_over_is_refused_only_where_a_guarantee_was_asked_for(schema: Any) -> None:
    assert fitted(schema, THERE) == schema
    with pytest.raises(Failure) as caught:
        fitted(schema, Place("response_format", "response_format", strict=True))
    assert caught.value.param == "response_format"


def test_what_it_holds_is_kept_when_a_guarantee_is_asked_for() -> None:
    schema: Any = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}, "b": {"pattern": "^a+$"}}}
    assert fitted(schema, Place("tools", "f", strict=True)) == schema


def test_a_schema_that_refers_to_the_whole_is_hoisted_where_the_converter_follows() -> None:
    schema: Any = {"properties": {"child": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/N"}]}}, "$defs": {"N": {}}}
    hoisted = "#/$defs/root"
    inner = {"anyOf": [{"$ref": hoisted}, {"$ref": f"{hoisted}/$defs/N"}]}
    assert fitted(schema, Place("response_format", "response_format")) == {
        "$ref": "#/$defs/root",
        "$defs": {"root": {"properties": {"child": inner}, "$defs": {"N": {}}}},
    }
    assert fitted(schema, THERE)["properties"] == {
        "child": {"anyOf": [{"$ref": "#/$defs/f0"}, {"$ref": "#/$defs/f0/$defs/N"}]}
    }


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(Failure) as caught:
        fitted({"properties": {"a": {"items": {"type": "integer", "minimum": 5, "maximum": 1}}}}, THERE)
    assert "function 'f': at #/properties/a/items/minimum: no integer is within" in caught.value.message
