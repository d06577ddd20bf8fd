"""How much a request may ask of us before anything is built from it (SEC10, SEC11 of docs/security.md).

Knows sizes, depths and counts, and turns bytes into a JSON object that is safe to walk and to carry on. Knows no
parameter's meaning.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn

import msgspec

from riverrun.failures import Cause, Failure, bad_request
from riverrun.wire.jsonvalue import JsonValue

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True):
    """What a request may hold. `body` is in bytes, the rest are counts; `strict` refuses unknown parameters (B12)."""

    body: int = 8 * MIB
    depth: int = 64
    messages: int = 10_000
    n: int = 8
    top_logprobs: int = 20
    stop: int = 4
    tools: int = 256
    functions: int = 128
    strict: bool = False


NUMBERS = ("n", "top_logprobs")
ARRAYS = ("messages", "stop", "tools", "functions")
LIMITED = frozenset(NUMBERS + ARRAYS)

BRACES = bytes.maketrans(b"{}", b"[]")
PROSE = bytes(code for code in range(256) if code not in b'[]{}"')
DIGITS = bytes.maketrans(b"0123456789", b"0000000000")
LONG_NUMBER = b"0" * 19
"""Numbers with fewer digits fit 64 bits. The run may also stand in a string, so it is only a reason to look."""

LOWEST, HIGHEST = -(2**63), 2**64 - 1
"""The integers that JSON libraries agree on; anything outside could not be carried on to an upstream as it is."""

SURROGATE = re.compile("[\ud800-\udfff]")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)


def load(body: bytes, limits: Limits) -> dict[str, JsonValue]:
    """The body as a JSON object: within the limits, UTF-8, its numbers within 64 bits. Raises Failure (400, 413)."""
    if len(body) > limits.body:
        raise Failure(
            Cause.TOO_LARGE,
            f"The request body has {len(body)} bytes, and at most {limits.body} are accepted. Send a shorter request.",
        )
    if too_deep(body, limits.depth):
        raise unparsable(f"Its objects and arrays nest deeper than {limits.depth} levels")
    try:
        value: JsonValue = msgspec.json.decode(body)
    except UNREADABLE:
        _explain(body)
    if not isinstance(value, dict):
        raise unparsable(f"It is {KINDS[type(value)]}, and an object was expected")
    if body.translate(DIGITS).find(LONG_NUMBER) >= 0:
        _refuse_uncarriable(value)
    return value


def refuse_over(value: dict[str, JsonValue], limits: Limits) -> None:
    """Raises Failure (400) for a number or an array over its limit, before anything is built from it."""
    for name, given in value.items():
        if name in LIMITED:
            size = len(given) if isinstance(given, list) else given
            if type(size) is int and size > getattr(limits, name):
                _refuse_first(value, limits)


def _refuse_first(value: dict[str, JsonValue], limits: Limits) -> None:
    """The first that is over, in our order: an answer doesn't hang on that of the request."""
    for name in NUMBERS:
        number, most = value.get(name), getattr(limits, name)
        if type(number) is int and number > most:
            raise bad_request(
                f"Invalid '{name}': integer above maximum value. Expected a value <= {most}, but got {number} instead.",
                name,
                "integer_above_max_value",
            )
    for name in ARRAYS:
        array, most = value.get(name), getattr(limits, name)
        if isinstance(array, list) and len(array) > most:
            raise bad_request(
                f"Invalid '{name}': array too long. Expected an array with maximum length {most}, "
                f"but got an array with length {len(array)} instead.",
                name,
                "array_above_max_length",
            )


def too_deep(body: bytes, depth: int) -> bool:
    """Whether brackets outside strings nest deeper than `depth`, without recursion and at the speed of `replace`.

    Each round takes away the innermost pairs, so well-formed JSON of depth d is empty after d rounds. What is left
    when a round changes nothing is malformed, and no prefix of it nests deeper than the rounds so far plus the
    brackets left open; a parser stops at the flaw, so that is as deep as it would go. Taking quotes away in pairs
    does not change which brackets stand inside a string.
    """
    if body.count(b"[") + body.count(b"{") <= depth:
        return False
    quoted = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(BRACES, PROSE)
    brackets = b"".join(quoted.replace(b'""', b"").split(b'"')[::2])
    for rounds in range(depth + 1):
        inner = len(brackets)
        if not inner:
            return False
        left = brackets.replace(b"[]", b"")
        if len(left) == inner:
            return rounds + left.count(b"[") > depth
        brackets = left
    return True


KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    str: "a string",
    list: "an array",
    dict: "an object",
}
"""What a JSON value is called in an error, as the official API calls it."""


def unparsable(what: str) -> Failure:
    """The official error for a body that is not a JSON object, with what exactly is the matter."""
    return bad_request(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
        f"correctly. The API expects a JSON payload, but what was sent was not valid JSON. {what}.)"
    )


def _explain(body: bytes) -> NoReturn:
    """The reason why msgspec refused a body, found with the standard library, which says it in attributes."""
    if not body.strip():
        raise unparsable("The body is empty")
    try:
        text = body.decode()
        value = json.loads(text, parse_int=_integer, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise unparsable(f"It is not UTF-8: byte {error.start} begins no character") from None
    except json.JSONDecodeError as error:
        raise unparsable(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    _refuse_uncarriable(value)
    raise unparsable("It can't be read")


def _integer(digits: str) -> int | float:
    """An integer, or infinity where it is so long that building it would be the attack."""
    return int(digits) if len(digits) <= 400 else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def _constant(name: str) -> NoReturn:
    raise unparsable(f"{name} is not a JSON value: numbers are finite")


def _refuse_uncarriable(value: JsonValue) -> None:
    for failure in _uncarriable(value, ""):
        raise failure


def _uncarriable(value: JsonValue, path: str) -> Iterator[Failure]:
    """The values that are JSON and that no peer could be sent: numbers out of range, halves of surrogate pairs."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _uncarriable(key, path)
            yield from _uncarriable(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _uncarriable(item, f"{path}[{index}]")
    elif isinstance(value, str):
        if SURROGATE.search(value):
            yield bad_request(
                f"Invalid '{path}': the string holds half of a surrogate pair, which is no character. Send both "
                "halves, or leave it out.",
                SURROGATE.sub("\ufffd", path) or None,
                "invalid_value",
            )
    elif isinstance(value, float):
        if math.isinf(value):
            yield _out_of_range(path, "decimal", value > 0, "a finite number")
    elif isinstance(value, int) and not LOWEST <= value <= HIGHEST:
        yield _out_of_range(path, "integer", value > 0, f"a value {f'<= {HIGHEST}' if value > 0 else f'>= {LOWEST}'}")


def _out_of_range(path: str, kind: str, above: bool, expected: str) -> Failure:
    side, code = ("above maximum", "above_max") if above else ("below minimum", "below_min")
    return bad_request(
        f"Invalid '{path}': {kind} {side} value. Expected {expected}, but got a number outside of it instead.",
        path or None,
        f"{kind}_{code}_value",
    )
