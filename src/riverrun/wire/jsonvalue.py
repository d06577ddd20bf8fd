"""JSON that is only carried, never looked into."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

JsonValue: TypeAlias = Union[bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]", None]

if TYPE_CHECKING:
    JsonObject = dict[str, JsonValue]
else:
    JsonObject = dict[str, object]
    """In a struct's field: msgspec knows no recursive alias."""
