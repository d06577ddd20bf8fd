"""Gemini's function calls, whole or in pieces. A call in pieces is an object that grows by JSON paths (RFC 9535).

The pieces say nothing of the order in which the text of the object would be written, so its arguments are told when the
call is complete.
"""

from __future__ import annotations

import re

import msgspec

from riverrun.dialects.blame import malformed
from riverrun.dialects.gemini_events import FunctionCall, PartialArg
from riverrun.dialects.literals import document
from riverrun.stream.deltas import Delta, ToolArgs, ToolOpen
from riverrun.stream.tool_answer import call_id
from riverrun.wire.chunk import literal
from riverrun.wire.jsonvalue import JsonValue

STEP = re.compile(r"\.([^.\[\]]+)|\['([^']*)'\]|\[\"([^\"]*)\"\]|\[(\d+)\]")
LONGEST_ARRAY = 10_000
"""A path may not make an array of any size it likes."""


class CallReader:
    """One choice's calls. The handles it gives are numbers in order of appearance."""

    def __init__(self, ask_id: str, choice: int) -> None:
        self._ask_id = ask_id
        self._choice = choice
        self._calls = 0
        self._growing: JsonValue = None
        self.open = False
        """A call has begun whose last piece has not come."""

    def read(self, call: FunctionCall, out: list[Delta]) -> str | None:
        """Adds a call's deltas; gives its id where it begins. Raises ValueError."""
        if not self.open and not call.name:
            if call.partial_args or call.args:
                malformed("it holds a function call without a name")
            return None  # an empty one marks the end of the one before
        began = None if self.open else self._begin(call, out)
        for piece in call.partial_args or ():
            self._growing = _grown(self._growing, _steps(piece.json_path), piece)
        self.open = bool(call.will_continue)
        if not self.open:
            whole = (
                document(call.args) if self._growing is None else literal(msgspec.json.encode(self._growing).decode())
            )
            if whole is not None:
                out.append(ToolArgs(self._choice, self._calls - 1, whole))
        return began

    def _begin(self, call: FunctionCall, out: list[Delta]) -> str:
        id = call.id or call_id(self._ask_id, self._choice, self._calls)
        out.append(ToolOpen(self._choice, self._calls, id, call.name or ""))
        self._calls += 1
        self._growing = None
        return id


def _steps(path: str) -> list[str | int]:
    if not path.startswith("$"):
        malformed(f"{path[:40]!r} is no JSON path")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = STEP.match(path, at)
        if found is None:
            malformed(f"{path[:40]!r} is no JSON path that leads to one argument")
        name = next((group for group in found.groups()[:3] if group is not None), None)
        steps.append(int(found[4]) if name is None else name)
        at = found.end()
    return steps


def _grown(there: JsonValue, steps: list[str | int], piece: PartialArg) -> JsonValue:
    """The value with a piece added: a text grows, anything else is set."""
    if not steps:
        if isinstance(there, str) and piece.string_value is not None:
            return there + piece.string_value
        return piece.value
    step, *rest = steps
    if isinstance(step, str) and (there is None or isinstance(there, dict)):
        owner = there or {}
        owner[step] = _grown(owner.get(step), rest, piece)
        return owner
    if isinstance(step, int) and (there is None or isinstance(there, list)) and step < LONGEST_ARRAY:
        items = there or []
        items += [None] * (step + 1 - len(items))
        items[step] = _grown(items[step], rest, piece)
        return items
    malformed("the pieces of a function call do not fit together")
