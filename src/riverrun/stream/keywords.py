"""JSON Schema's keywords as the engine's grammar holds to them: which values they may have, alone and together.

Knows one schema object at a time; where it stands, and what it refers to, is `stream.schemas`' business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from riverrun.wire.jsonvalue import JsonValue

Schema = dict[str, JsonValue]

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
UNHELD = frozenset(
    {
        "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "propertyNames",
        "contains", "uniqueItems", "multipleOf", "unevaluatedProperties", "unevaluatedItems",
        "minProperties", "maxProperties",
    }
)  # fmt: skip
BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
"""Held for integers, and for no other numbers."""
COUNTS = (("minLength", "maxLength", 2000), ("minItems", "maxItems", 1000))
"""Repetitions that the grammar can hold; a larger least is an error there, a larger most is passed over."""
LARGEST = 2**53 - 1
"""The integers that every JSON reader keeps (RFC 8259, section 6)."""
FAR = 10**15
"""From here on the grammar needs both bounds of an integer: with one alone it never gets done."""
BACKWARDS = re.compile(r"\{(\d+),(\d+)\}")


class Shape(NamedTuple):
    fits: Callable[[JsonValue], bool]
    words: str


def _whole(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: JsonValue) -> bool:
    return _whole(value) or isinstance(value, float)


def _type(value: JsonValue) -> bool:
    named = value if isinstance(value, list) else [value]
    return bool(named) and all(isinstance(each, str) and each in TYPES for each in named)


def _filled(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value)


SHAPES = {
    "type": Shape(_type, f"one or several of {', '.join(sorted(TYPES))}"),
    **dict.fromkeys(("properties", "$defs", "definitions"), Shape(lambda value: isinstance(value, dict), "an object")),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "enum"), Shape(_filled, "an array with elements")),
    **dict.fromkeys(("pattern", "format"), Shape(lambda value: isinstance(value, str), "a string")),
    **dict.fromkeys(BOUNDS, Shape(_number, "a number")),
    **dict.fromkeys(
        (name for count in COUNTS for name in count[:2]),
        Shape(lambda value: isinstance(value, int) and _whole(value) and value >= 0, "an integer >= 0"),
    ),
    "additionalProperties": Shape(lambda value: isinstance(value, bool | dict), "a schema object or a boolean"),
}
"""What a keyword's value must be; a keyword that is not here may be anything."""

OF_TYPE: dict[str, Callable[[JsonValue], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": _number,
    "integer": lambda value: _whole(value) or (isinstance(value, float) and value.is_integer()),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def flaws(schema: Schema, *, strict: bool) -> Iterator[tuple[str, str]]:
    """Keywords that can't be held to, and why. `strict`: also those that would be passed over."""
    for name, value in schema.items():
        shape = SHAPES.get(name)
        if shape is not None and not shape.fits(value):
            yield name, f"expected {shape.words}"
    for rule in (_counts, _range, _choices, _pattern, _required):
        yield from rule(schema)
    for name in schema if strict else ():
        if _unheld(name, schema):
            yield name, f"'{name}' can't be guaranteed by this model's grammar; leave it out, or 'strict'"


def narrowed(schema: Schema) -> Schema:
    """A schema without flaws as the grammar takes it. What fits it fits the original, but for what was passed over."""
    out = {name: value for name, value in schema.items() if not _too_many(name, value)}
    if isinstance(schema.get("enum"), list):
        out["enum"] = list(_choosable(schema))
    low, high = _integers(schema)
    if "integer" in _types(schema) and (low >= FAR or high <= -FAR):
        out = {name: value for name, value in out.items() if name not in BOUNDS}
        out["minimum"], out["maximum"] = int(max(low, -LARGEST)), int(min(high, LARGEST))
    return out


def _unheld(name: str, schema: Schema) -> bool:
    return (
        name in UNHELD
        or (name in BOUNDS and schema.get("type") != "integer")
        or (name == "pattern" and not _anchored(schema[name]))
        or _too_many(name, schema[name])
    )


def _anchored(pattern: JsonValue) -> bool:
    return isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$") and "(?" not in pattern


def _too_many(name: str, value: JsonValue) -> bool:
    return any(name == most and isinstance(value, int) and value > largest for _, most, largest in COUNTS)


def _counts(schema: Schema) -> Iterator[tuple[str, str]]:
    for least, most, largest in COUNTS:
        low, high = schema.get(least, 0), schema.get(most, math.inf)
        assert isinstance(low, int)  # SHAPES
        assert isinstance(high, int | float)
        if low > high:
            yield least, f"nothing has {least} {low} and {most} {high}"
        if low > largest:
            yield least, f"at most {largest} can be held to"


def _range(schema: Schema) -> Iterator[tuple[str, str]]:
    named = [name for name in BOUNDS if name in schema]
    if named and _empty(schema):
        yield named[0], f"no {'integer' if _integral(schema) else 'number'} is within {', '.join(named)}"


def _empty(schema: Schema) -> bool:
    if _integral(schema):
        low, high = _integers(schema)
        return low > min(high, LARGEST) or high < -LARGEST
    low = max(_values(schema, "minimum", "exclusiveMinimum"), default=-math.inf)
    high = min(_values(schema, "maximum", "exclusiveMaximum"), default=math.inf)
    return low > high or (low == high and low in _values(schema, "exclusiveMinimum", "exclusiveMaximum"))


def _integral(schema: Schema) -> bool:
    return "integer" in (types := _types(schema)) and "number" not in types


def _integers(schema: Schema) -> tuple[float, float]:
    """The smallest and the largest integer within the bounds; infinities where there is none."""
    low = [math.ceil(at) for at in _values(schema, "minimum")]
    low += [math.floor(at) + 1 for at in _values(schema, "exclusiveMinimum")]
    high = [math.floor(at) for at in _values(schema, "maximum")]
    high += [math.ceil(at) - 1 for at in _values(schema, "exclusiveMaximum")]
    return max(low, default=-math.inf), min(high, default=math.inf)


def _values(schema: Schema, *names: str) -> list[int | float]:
    return [value for name in names if isinstance(value := schema.get(name), int | float)]


def _types(schema: Schema) -> list[JsonValue]:
    named = schema.get("type", [])
    return named if isinstance(named, list) else [named]


def _choices(schema: Schema) -> Iterator[tuple[str, str]]:
    enum, const = schema.get("enum"), schema.get("const")
    if "enum" in schema and not _choosable(schema):
        yield "enum", "none of its values is of the schema's type"
    if "const" in schema and not _of_type(const, schema):
        yield "const", "its value is not of the schema's type"
    if "const" in schema and isinstance(enum, list) and const not in enum:
        yield "const", "its value is not in 'enum'"


def _choosable(schema: Schema) -> list[JsonValue]:
    enum = schema["enum"]
    assert isinstance(enum, list)  # SHAPES
    return [value for value in enum if _of_type(value, schema)]


def _of_type(value: JsonValue, schema: Schema) -> bool:
    return "type" not in schema or any(OF_TYPE[str(name)](value) for name in _types(schema))


def _pattern(schema: Schema) -> Iterator[tuple[str, str]]:
    for least, most in BACKWARDS.findall(str(schema.get("pattern", ""))):
        if int(least) > int(most):
            yield "pattern", f"nothing repeats {{{least},{most}}} times"


def _required(schema: Schema) -> Iterator[tuple[str, str]]:
    required, properties = schema.get("required"), schema.get("properties", {})
    if schema.get("additionalProperties") is not False or not isinstance(required, list):
        return
    assert isinstance(properties, dict)  # SHAPES
    for name in required:
        if not isinstance(name, str) or name not in properties:
            yield "required", f"{name!r} is not among the properties, and additional ones are not allowed"
