"""The tool calls of one choice: numbered densely, one open at a time, complete before the next one starts.

Upstreams interleave calls, repeat their names and leave arguments empty. Here each call waits until the one before
it is complete, so that a client that reads only the first call of a chunk loses nothing (T1 to T8).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import FinishReason, ToolArgs, ToolOpen

CUT = frozenset({"length", "content_filter"})
"""Endings that may come in the middle of a call. Such a call is neither repaired nor called complete."""


class Opened(msgspec.Struct, frozen=True):
    """Call `number` begins: what its first fragment says."""

    number: int
    id: str
    name: str


class Argued(msgspec.Struct, frozen=True):
    """More arguments of call `number`, as a JSON string literal."""

    number: int
    literal: bytes


Fragment = Opened | Argued


class _Call:
    """One call, and the arguments that have come for it."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.pieces: list[bytes] = []  # the insides of the string literals

    @property
    def literal(self) -> bytes:
        return b'"' + b"".join(self.pieces) + b'"'

    def complete(self) -> bool:
        """Whether the arguments are a JSON value. Looked at when a call ends, not for every fragment."""
        try:
            msgspec.json.decode(msgspec.json.decode(self.literal, type=str))
        except msgspec.DecodeError:
            return False
        return True


class Calls:
    """Fragments in as the upstream sends them, fragments out as a client can read them."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}  # by the upstream's handle, in order of opening
        self._current: _Call | None = None
        self._waiting: deque[_Call] = deque()

    def __len__(self) -> int:
        return len(self._calls)

    def open(self, delta: ToolOpen) -> list[Fragment]:
        """A call begins. Raises Failure when the upstream opens the same one twice."""
        if delta.call in self._calls:
            raise _malformed(f"it opened tool call {delta.call} twice")
        call = _Call(Opened(len(self._calls), delta.id, delta.name))
        self._calls[delta.call] = call
        self._waiting.append(call)
        return list(self._advance())

    def argue(self, delta: ToolArgs) -> list[Fragment]:
        """Arguments of an open call. Raises Failure for a call that nobody opened, or that was complete."""
        call = self._calls.get(delta.call)
        if call is None:
            raise _malformed(f"it sent arguments for tool call {delta.call}, which it had not opened")
        piece = delta.literal[1:-1]
        if call is not self._current and call not in self._waiting:
            if msgspec.json.decode(delta.literal, type=str).strip():
                raise _malformed(f"it sent more arguments for tool call {delta.call} after they were complete")
            return []
        if not piece:
            return []
        call.pieces.append(piece)
        if call is not self._current:
            return []
        return [Argued(call.opened.number, delta.literal), *self._advance()]

    def close(self, reason: FinishReason) -> list[Fragment]:
        """The choice has finished: all that still waited, with `{}` for a call that got no arguments (T8).

        Raises Failure where a call that ought to be complete is not valid JSON.
        """
        fragments: list[Fragment] = []
        while self._current is not None:
            last = not self._waiting
            fragments += self._completed(self._current, may_be_cut=last and reason in CUT)
            self._current = self._waiting.popleft() if self._waiting else None
            if self._current is not None:
                fragments += _whole(self._current)
        return fragments

    def _completed(self, call: _Call, *, may_be_cut: bool) -> list[Fragment]:
        if may_be_cut or call.complete():
            return []
        if call.pieces:
            raise _malformed(f"the arguments of its call to {call.opened.name!r} are not valid JSON")
        call.pieces.append(b"{}")
        return [Argued(call.opened.number, b'"{}"')]

    def _advance(self) -> Iterator[Fragment]:
        while self._waiting and (self._current is None or self._current.complete()):
            self._current = self._waiting.popleft()
            yield from _whole(self._current)


def _whole(call: _Call) -> Iterator[Fragment]:
    """A call's opening, and the arguments that came while it waited."""
    yield call.opened
    if call.pieces:
        yield Argued(call.opened.number, call.literal)


def _malformed(what: str) -> Failure:
    return Failure(Cause.UPSTREAM_MALFORMED, f"The upstream's answer could not be understood: {what}.")
