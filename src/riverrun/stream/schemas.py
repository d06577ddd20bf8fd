"""A caller's JSON Schema made fit for a grammar: what the grammar can hold to is kept, what it can't is refused.

The facts are llama.cpp's (its converter from JSON Schema to GBNF, tried): it follows references only from the root,
takes no boolean schema, and silently passes over what `stream.keywords` calls unheld. `strict` asks for a guarantee,
so there that is refused; otherwise it is a hint, as on the official API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from riverrun.failures import Failure, bad_request
from riverrun.stream.keywords import Schema, flaws, narrowed
from riverrun.wire.jsonvalue import JsonValue

MAPS = frozenset({"properties", "$defs", "definitions"})
LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
HOISTED = "#/$defs/root"
"""Where a schema stands that refers to itself as a whole."""


class Place(msgspec.Struct, frozen=True):
    """Where a schema came from, for messages (`param`, `owner`), and where it will stand (`root`, a JSON pointer)."""

    param: str
    owner: str
    root: str = "#"
    strict: bool = False


def fitted(schema: Schema, place: Place) -> Schema:
    """The schema as it may stand at `place.root` of a larger one. Raises Failure (400) for what can't be held to."""
    hoisted = place.root == "#" and "#" in _references(schema)
    if hoisted:  # the converter follows no reference to the whole
        place = msgspec.structs.replace(place, root=HOISTED)
    out = _object(schema, schema, place, "#")
    _refuse_clashes(out, place)
    return {"$ref": HOISTED, "$defs": {HOISTED.rpartition("/")[2]: out}} if hoisted else out


def _any(value: JsonValue, whole: Schema, place: Place, at: str) -> JsonValue:
    if value is True:
        return {}
    if not isinstance(value, dict):
        raise _refusal(place, at, "it is not a schema object")
    return _object(value, whole, place, at)


def _object(schema: Schema, whole: Schema, place: Place, at: str) -> Schema:
    for name, why in flaws(schema, strict=place.strict):
        raise _refusal(place, f"{at}/{name}", why)
    out: Schema = {}
    for name, value in narrowed(schema).items():
        here = f"{at}/{name}"
        if name == "$ref":
            out[name] = _reference(schema, whole, place, here)
        elif name in MAPS and isinstance(value, dict):
            out[name] = {key: _any(each, whole, place, f"{here}/{key}") for key, each in value.items()}
        elif name in LISTS and isinstance(value, list):
            out[name] = [_any(each, whole, place, f"{here}/{index}") for index, each in enumerate(value)]
        elif name == "items" or (name == "additionalProperties" and isinstance(value, dict)):
            out[name] = _any(value, whole, place, here)
        else:
            out[name] = value
    return out


def _reference(schema: Schema, whole: Schema, place: Place, at: str) -> str:
    value = schema["$ref"]
    if not isinstance(value, str) or not (value == "#" or value.startswith("#/")):
        raise _refusal(place, at, "only references within the same schema ('#/...') are followed")
    target: JsonValue = whole
    for step in value[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict) and name in target:
            target = target[name]
        elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        else:
            raise _refusal(place, at, f"{value!r} points to nothing in it")
    if target is schema:
        raise _refusal(place, at, "it refers to itself, and nothing fits it")
    return place.root + value[1:]


def _refuse_clashes(schema: Schema, place: Place) -> None:
    """The converter names a rule after its reference with every sign made a hyphen, and would take one for another."""
    seen: dict[str, str] = {}
    for reference in _references(schema):
        if seen.setdefault(re.sub(r"[^a-zA-Z0-9]+", "-", reference), reference) != reference:
            raise _refusal(place, reference, "another definition's name differs only in signs; rename one of them")


def _references(value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)


def _refusal(place: Place, at: str, why: str) -> Failure:
    return bad_request(f"Invalid schema for {place.owner}: at {at}: {why}.", place.param, "invalid_value")
