"""What a person meant who wrote a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from msgspec import inspect


def nearest(name: str, known: Iterable[str]) -> str:
    """ "did you mean `port`?", or the names there are."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean `{near[0]}`?" if near else f"there are {', '.join(f'`{each}`' for each in names)}."


def unknown(value: object, kind: inspect.Type, place: str = "") -> Iterator[str]:
    """Every name in the value that its type does not have, with its place and the nearest one that there is."""
    if isinstance(kind, inspect.UnionType):
        kind = next((each for each in kind.types if _holds(each, value)), kind)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        for name, each in value.items():
            inner = f"{place}.{name}" if place else name
            if name in fields:
                yield from unknown(each, fields[name], inner)
            else:
                yield f"{inner} is not known; {nearest(name, fields)}"
    elif isinstance(kind, inspect.DictType) and isinstance(value, dict):
        for name, each in value.items():
            yield from unknown(each, kind.value_type, f"{place}.{name}")
    elif isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        for index, each in enumerate(value):
            yield from unknown(each, kind.item_type, f"{place}[{index}]")


def _holds(kind: inspect.Type, value: object) -> bool:
    return isinstance(kind, inspect.StructType | inspect.DictType) and isinstance(value, dict)
