"""Surrogate pairs that an upstream splits over two events, put together again.

Some send `"\\ud83d"` in one delta and `"\\ude00"` in the next. A lone half is no character, so the first is held
back until its partner comes; one that never does is a malformed answer, never a replaced one.
"""

from __future__ import annotations

import json

import msgspec

from riverrun.wire.jsonvalue import JsonValue

Place = tuple[JsonValue, ...]

FIELDS = ("content", "refusal", "reasoning_content", "reasoning")


class LoneSurrogate(ValueError):
    """Half a pair whose other half did not come."""


class Surrogates:
    """One answer's halves. While one is `held`, by choice and field, the next event must be mended too."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[Place, str] = {}

    def mended(self, data: bytes) -> bytes:
        """The event with whole characters only. Raises LoneSurrogate, or ValueError where it is not JSON at all."""
        chunk = json.loads(data)
        if isinstance(chunk, dict) and isinstance(chunk.get("choices"), list):
            for choice in chunk["choices"]:
                if isinstance(choice, dict):
                    self._choice(choice)
        elif isinstance(chunk, dict) and isinstance(chunk.get("delta"), str):
            self._field(chunk, "delta", (chunk.get("type"), chunk.get("output_index"), chunk.get("content_index")))
        return msgspec.json.encode(_replaced(chunk))

    def _choice(self, choice: dict[str, JsonValue]) -> None:
        index, delta = choice.get("index"), choice.get("delta")
        if isinstance(delta, dict):
            for name in FIELDS:
                self._field(delta, name, (index, name))
            call = delta.get("function_call")
            if isinstance(call, dict):
                self._field(call, "arguments", (index, "function_call"))
            calls = delta.get("tool_calls")
            for call in calls if isinstance(calls, list) else ():
                self._call(call, index)
        if choice.get("finish_reason") and any(place[0] == index for place in self.held):
            raise LoneSurrogate("half a character was left when the choice finished")

    def _call(self, call: JsonValue, choice: JsonValue) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(call, dict) and isinstance(function, dict):
            self._field(function, "arguments", (choice, "tool_calls", call.get("index")))

    def _field(self, owner: dict[str, JsonValue], name: str, place: Place) -> None:
        text = owner.get(name)
        if not isinstance(text, str) or not text:
            return
        text = self.held.pop(place, "") + text
        if "\ud800" <= text[-1] <= "\udbff":
            self.held[place], text = text[-1], text[:-1]
        try:
            owner[name] = text.encode("utf-16", "surrogatepass").decode("utf-16")  # joins the pairs
        except UnicodeDecodeError:
            raise LoneSurrogate("half a character stands where its other half did not follow") from None


def _replaced(value: JsonValue) -> JsonValue:
    """Lone halves in fields that are not the answer's text (an id, a vendor's extra) are made harmless."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_replaced(each) for each in value]
    if isinstance(value, dict):
        return {str(_replaced(name)): _replaced(each) for name, each in value.items()}
    return value
