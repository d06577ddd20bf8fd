"""Tool calls as OpenAI's imitators send them: without an index, with every name repeated, whole, or as objects."""

from __future__ import annotations

import msgspec

from riverrun.dialects.openai_events import CallPart, FunctionPart
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, ToolArgs, ToolOpen
from riverrun.stream.tool_answer import call_id


class _Call:
    """A call, and its arguments that came before its name."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.id = ""
        self.opened = False
        self.early: list[bytes] = []


class CallReader:
    """One choice's calls. The handles it gives are numbers in order of appearance."""

    def __init__(self, ask_id: str, choice: int) -> None:
        self._ask_id = ask_id
        self._choice = choice
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def fragments(self, parts: list[CallPart]) -> list[Delta]:
        """The deltas of a delta's `tool_calls`. Raises Failure, or UnicodeDecodeError."""
        out: list[Delta] = []
        for part in parts:
            self._fragment(self._find(part), part.id, part.function, out)
        return out

    def legacy(self, function: FunctionPart) -> list[Delta]:
        """The deltas of a `function_call`, of which a choice has one. An empty one (Snowflake) is none."""
        out: list[Delta] = []
        if not function.name and not _arguments(function):
            return out
        self._fragment(self._calls[0] if self._calls else self._new(), None, function, out)
        return out

    def close(self) -> None:
        """The choice has finished. Raises Failure for a call that never got a name."""
        if any(not call.opened for call in self._calls):
            raise Failure(Cause.UPSTREAM_MALFORMED, "The upstream's answer holds a tool call without a name.")

    def _find(self, part: CallPart) -> _Call:
        """The call that a fragment belongs to: by index, else by id, else the last one unless it names a new one."""
        named = part.function is not None and bool(part.function.name)
        if part.index is not None:
            call = self._by_index.get(part.index)
            if call is None or (named and part.id and call.opened and call.id != part.id):
                # a new id and a name under an old index: Gemini's endpoint gives every call the index 0
                call = self._by_index[part.index] = self._new()
            return call
        known = next((call for call in self._calls if part.id and call.id == part.id), None)
        if known is not None:
            return known
        return self._new() if named or part.id or not self._calls else self._calls[-1]

    def _new(self) -> _Call:
        call = _Call(len(self._calls))
        self._calls.append(call)
        return call

    def _fragment(self, call: _Call, id: str | None, function: FunctionPart | None, out: list[Delta]) -> None:
        call.id = call.id or id or ""
        name = function.name if function is not None else None
        literal = _arguments(function)
        if not call.opened:
            if not name:
                call.early += [literal] if literal else []
                return
            call.opened = True
            call.id = call.id or call_id(self._ask_id, self._choice, call.handle)
            out.append(ToolOpen(self._choice, call.handle, call.id, name))
            out += [ToolArgs(self._choice, call.handle, early) for early in call.early]
        if literal:
            out.append(ToolArgs(self._choice, call.handle, literal))


def _arguments(function: FunctionPart | None) -> bytes:
    """A JSON string literal, empty where there is nothing. An object becomes the string it should have been."""
    raw = bytes(function.arguments) if function is not None else b""
    if raw in (b"", b"null", b'""'):
        return b""
    text = raw.decode()
    return raw if raw[0] == 0x22 else msgspec.json.encode(text)
