"""What an upstream's own parameters may be, as data, and the check of a request against it.

A parameter that the API does not have is not checked with the request; what its value may do to an upstream (how much
memory it takes) only the upstream's row can say.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.refusal import mismatch

UNKNOWN_CONTEXT = 2**17
"""Tokens, where a target's context is not known."""


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One parameter: its type, and the least and the most that it may be; `max = "context"` is the target's context.

    "strings" is an array: of 1 to `most` texts of up to `longest` characters each, or of `words` alone.
    """

    type: Literal["boolean", "integer", "number", "strings"]
    min: float | None = None
    max: float | Literal["context"] | None = None
    most: int = 16
    longest: int = 64
    words: tuple[str, ...] = ()


def refuse_out_of_range(body: Mapping[str, JsonValue], ranges: Mapping[str, Range], context: int | None) -> None:
    """Raises Failure (400) in the official wording for the first parameter that is out of its range."""
    given = {name: value for name, value in body.items() if name in ranges}
    if not given:
        return
    shape = _shape(tuple(ranges.items()), context or UNKNOWN_CONTEXT)
    try:
        msgspec.convert(given, shape)
    except msgspec.ValidationError:
        raise mismatch(given, shape) from None


@lru_cache(maxsize=64)
def _shape(ranges: tuple[tuple[str, Range], ...], context: int) -> type[msgspec.Struct]:
    """The parameters as a type, so that they are checked, and refused, as the API's own are."""
    return msgspec.defstruct("Extras", [(name, _type(each, context), msgspec.UNSET) for name, each in ranges])


def _type(each: Range, context: int) -> type:
    most = context if each.max == "context" else each.max
    number = msgspec.Meta(ge=_exact(each.min), le=_exact(most))
    element = Literal[each.words] if each.words else Annotated[str, msgspec.Meta(max_length=each.longest)]
    types: dict[str, object] = {
        "boolean": bool,
        "integer": Annotated[int, number],
        "number": Annotated[float, number],
        "strings": Annotated[tuple[element, ...], msgspec.Meta(min_length=1, max_length=each.most)],  # type: ignore[valid-type]
    }
    found = types[each.type]
    return found  # type: ignore[return-value]


def _exact(bound: float | None) -> float | None:
    """A whole number as an integer: errors show it without a point."""
    return int(bound) if bound is not None and float(bound).is_integer() else bound
