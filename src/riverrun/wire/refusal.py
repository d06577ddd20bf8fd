"""Why a value does not fit a type, in the words of the official API (wire-format.md, section 1.3).

Walks the value along the types that refused it, so that there is one truth about what is valid; it knows no parameter
by name except in HINTS. Used only after a failed conversion, so it may be slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache

from msgspec import inspect

from riverrun.failures import Failure, bad_request
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.limits import KINDS

SHOWN = 64
"""Characters of a caller's own text that an error repeats."""

HINTS = {
    "messages": 'Send at least one, for example [{"role": "user", "content": "Hello"}].',
    "messages[].content": 'Send text, or parts like {"type": "text", "text": "Hello"}.',
    "messages[].tool_call_id": "Send the id of the call that this message answers.",
    "messages[].tool_calls": "Leave it out where no tool was called.",
    "messages[].tool_calls[].function.arguments": "Send the arguments as JSON text, as they came.",
    "model": "GET /v1/models lists the names.",
    "stop": "Leave it out to stop at nothing.",
    "stream": "Send true or false, without quotes.",
    "tools": "Leave it out to offer none.",
}
"""What to do about it, by parameter without its indexes; said after the official sentence."""

Check = Callable[[JsonValue, inspect.Type, str], Iterator[Failure]]


def mismatch(value: JsonValue, expected: type) -> Failure:
    """The first reason why `value` is not an `expected`. `value` is JSON, and a conversion to it has failed."""
    for failure in _check(value, _type(expected), ""):
        return failure
    return bad_request("The request is not valid, and no reason could be found. Compare it with GET /openapi.json.")


@cache
def _type(expected: type) -> inspect.Type:
    return inspect.type_info(expected)


def _check(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    """Every reason, the first one first. The members of a union that take a value of this kind are one type, or
    structs that a tag tells apart."""
    members = [member for member in _members(expected) if _takes(member, value)]
    if not members:
        yield _refuse(
            f"Invalid type for '{path}': expected {_wanted(expected)}, but got {KINDS[type(value)]} instead.",
            path,
            "invalid_type",
        )
    elif isinstance(value, dict) and len(members) > 1:
        yield from _tagged(value, [member for member in members if isinstance(member, inspect.StructType)], path)
    elif type(members[0]) in CHECKS:
        yield from CHECKS[type(members[0])](value, members[0], path)


def _tagged(value: dict[str, JsonValue], structs: list[inspect.StructType], path: str) -> Iterator[Failure]:
    field = structs[0].tag_field
    assert field is not None
    where = _join(path, field)
    if field not in value:
        yield _missing(where)
        return
    tag = value[field]
    by_tag = {struct.tag: struct for struct in structs}
    if not isinstance(tag, str):
        yield from _check(tag, inspect.StrType(), where)
    elif tag not in by_tag:
        yield _unsupported(tag, tuple(map(str, by_tag)), where)
    else:
        yield from _struct(value, by_tag[tag], path)


def _struct(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    assert isinstance(expected, inspect.StructType)
    assert isinstance(value, dict)
    for field in expected.fields:
        where = _join(path, field.encode_name)
        if field.encode_name in value:
            yield from _check(value[field.encode_name], field.type, where)
        elif field.required:
            yield _missing(where)


def _array(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    assert isinstance(expected, inspect.VarTupleType)
    assert isinstance(value, list)
    yield from _length(len(value), expected.min_length, expected.max_length, path, "array", "an array with")
    for index, item in enumerate(value):
        yield from _check(item, expected.item_type, f"{path}[{index}]")


def _object(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    assert isinstance(expected, inspect.DictType)
    assert isinstance(value, dict)
    most = expected.max_length
    if most is not None and len(value) > most:
        yield _refuse(
            f"Invalid '{path}': too many properties. Expected an object with at most {most} properties, "
            f"but got an object with {len(value)} properties instead.",
            path,
            "object_above_max_properties",
        )
    for key, item in value.items():
        where = _join(path, key[:SHOWN])
        yield from _check(key, expected.key_type, where)
        yield from _check(item, expected.value_type, where)


def _string(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    assert isinstance(expected, inspect.StrType)
    assert isinstance(value, str)
    yield from _length(len(value), expected.min_length, expected.max_length, path, "string", "a string with")
    if expected.pattern is not None and not re.search(expected.pattern, value):
        shown = expected.pattern.replace(r"(?!\n)", "")
        yield _refuse(
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{shown}'.",
            path,
            "invalid_value",
        )


def _literal(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    assert isinstance(expected, inspect.LiteralType)
    if value not in expected.values:
        yield _unsupported(str(value), tuple(map(str, expected.values)), path)


def _number(value: JsonValue, expected: inspect.Type, path: str) -> Iterator[Failure]:
    assert isinstance(expected, inspect.IntType | inspect.FloatType)
    assert isinstance(value, int | float)
    kind = "integer" if isinstance(expected, inspect.IntType) else "decimal"
    if expected.ge is not None and value < expected.ge:
        yield _refuse(
            f"Invalid '{path}': {kind} below minimum value. Expected a value >= {expected.ge}, "
            f"but got {value} instead.",
            path,
            f"{kind}_below_min_value",
        )
    if expected.le is not None and value > expected.le:
        yield _refuse(
            f"Invalid '{path}': {kind} above maximum value. Expected a value <= {expected.le}, "
            f"but got {value} instead.",
            path,
            f"{kind}_above_max_value",
        )


CHECKS: dict[type[inspect.Type], Check] = {
    inspect.StructType: _struct,
    inspect.VarTupleType: _array,
    inspect.DictType: _object,
    inspect.StrType: _string,
    inspect.LiteralType: _literal,
    inspect.IntType: _number,
    inspect.FloatType: _number,
}

WANTED: dict[type[inspect.Type], tuple[frozenset[type], str]] = {
    inspect.NoneType: (frozenset({type(None)}), "null"),
    inspect.BoolType: (frozenset({bool}), "a boolean"),
    inspect.IntType: (frozenset({int}), "an integer"),
    inspect.FloatType: (frozenset({int, float}), "a decimal"),
    inspect.StrType: (frozenset({str}), "a string"),
    inspect.LiteralType: (frozenset({str}), "a string"),
    inspect.VarTupleType: (frozenset({list}), "an array"),
    inspect.DictType: (frozenset({dict}), "an object"),
    inspect.StructType: (frozenset({dict}), "an object"),
}
"""What each type takes, and what the official errors call it. What is not here takes anything."""


def _bare(expected: inspect.Type) -> inspect.Type:
    return expected.type if isinstance(expected, inspect.Metadata) else expected


def _members(expected: inspect.Type) -> list[inspect.Type]:
    bare = _bare(expected)
    return [_bare(member) for member in bare.types] if isinstance(bare, inspect.UnionType) else [bare]


def _takes(member: inspect.Type, value: JsonValue) -> bool:
    return type(member) not in WANTED or type(value) in WANTED[type(member)][0]


def _wanted(expected: inspect.Type) -> str:
    """What the type takes in words, null left out: "a string", "one of a string or array of objects"."""
    members = [member for member in _members(expected) if not isinstance(member, inspect.NoneType)]
    first, *others = dict.fromkeys(map(_noun, members))
    if not others:
        return first
    return f"one of {first} or {' or '.join(noun.split(' ', 1)[1] for noun in others)}"


def _noun(expected: inspect.Type) -> str:
    noun = WANTED[type(expected)][1]
    if isinstance(expected, inspect.VarTupleType):
        return f"{noun} of {_noun(_members(expected.item_type)[0]).split(' ', 1)[1]}s"
    return noun


def _length(length: int, least: int | None, most: int | None, path: str, noun: str, expected: str) -> Iterator[Failure]:
    if least is not None and length < least:
        got = f"an empty {noun}" if not length else f"{expected} length {length}"
        yield _refuse(
            f"Invalid '{path}': {f'empty {noun}' if not length else f'{noun} too short'}. "
            f"Expected {expected} minimum length {least}, but got {got} instead.",
            path,
            f"empty_{noun}" if not length else f"{noun}_below_min_length",
        )
    if most is not None and length > most:
        yield _refuse(
            f"Invalid '{path}': {noun} too long. Expected {expected} maximum length {most}, "
            f"but got {expected} length {length} instead.",
            path,
            f"{noun}_above_max_length",
        )


def _missing(path: str) -> Failure:
    return _refuse(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")


def _unsupported(value: str, supported: tuple[str, ...], path: str) -> Failure:
    names = [f"'{name}'" for name in supported]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])}{',' * (len(names) > 2)} and {names[-1]}"
    return _refuse(f"Invalid value: '{value[:SHOWN]}'. Supported values are: {listed}.", path, "invalid_value")


def _refuse(message: str, path: str, code: str) -> Failure:
    hint = HINTS.get(re.sub(r"\[\d+\]", "[]", path))
    return bad_request(f"{message} {hint}" if hint else message, path, code)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
