"""Schema tools, the way back: the document that the grammar enforced, turned into text and calls while it comes.

Pure: deltas in, deltas out. What the document looks like is said in `stream.tools`.
"""

from __future__ import annotations

import hashlib
from typing import NoReturn

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Text, ToolArgs, ToolOpen
from riverrun.stream.jsonscan import NotJson, Path, Piece, Scanner

CUT = frozenset({"length", "content_filter"})
"""Endings that may come in the middle of the document."""


def call_id(ask_id: str, choice: int, number: int) -> str:
    """A call's id: the same for the same ask, so that a stream that is made again names its calls the same."""
    digest = hashlib.sha256(f"{ask_id}/{choice}/{number}".encode()).hexdigest()
    return f"call_{digest[:24]}"


class ToolAnswer:
    """The answer to one ask. `structured`: its content is JSON that the caller asked for, and not a string."""

    def __init__(self, ask_id: str, *, structured: bool = False) -> None:
        self._ask_id = ask_id
        self._structured = structured
        self._documents: dict[int, _Document] = {}

    def translate(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas that these mean. Raises Failure where the text is not the document that was asked for."""
        out: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, Text):
                out += self._document(delta.choice).read(delta)
            elif isinstance(delta, Finish):
                out.append(self._document(delta.choice).end(delta))
            else:
                out.append(delta)
        return out

    def _document(self, choice: int) -> _Document:
        if choice not in self._documents:
            self._documents[choice] = _Document(self._ask_id, choice, self._structured)
        return self._documents[choice]


class _Document:
    """One choice's document."""

    def __init__(self, ask_id: str, choice: int, structured: bool) -> None:
        self._ask_id = ask_id
        self._choice = choice
        self._structured = structured
        self._scanner = Scanner()
        self._begun: set[Path] = set()
        self._name = ""  # raw, of the call that is opening
        self._calls = 0
        self._out: list[Delta] = []

    def read(self, delta: Text) -> list[Delta]:
        self._out = []
        try:
            pieces = self._scanner.feed(msgspec.json.decode(delta.literal, type=str))
        except NotJson as error:
            _malformed(str(error))
        for piece in pieces:
            self._place(piece)
        return self._out

    def end(self, finish: Finish) -> Finish:
        if finish.reason not in CUT:
            if not self._scanner.complete:
                _malformed("it ends before its JSON does")
            if not self._calls and ("content",) not in self._begun:
                _malformed("it holds neither content nor calls")
        return Finish(self._choice, "tool_calls") if self._calls and finish.reason == "stop" else finish

    def _place(self, piece: Piece) -> None:
        match piece.path:
            case () | ("tool_calls",) | ("tool_calls", int()):
                self._begin(piece, "{[{"[len(piece.path)])  # the rest of it is brackets, keys and commas
            case ("content", *_):
                self._content(piece)
            case ("tool_calls", int(number), "name"):
                self._named(number, piece)
            case ("tool_calls", int(number), "arguments", *_):
                self._argued(number, piece.text)
            case _:
                _malformed(f"it has a member {piece.path[-1]!r}")

    def _begin(self, piece: Piece, opening: str) -> None:
        """The value's kind shows in its first character, before anything of it is passed on."""
        if piece.path not in self._begun:
            self._begun.add(piece.path)
            if piece.text[:1] != opening:
                _malformed(f"{piece.text[:1]!r} stands where {opening} was due")

    def _content(self, piece: Piece) -> None:
        if self._structured:
            self._begun.add(("content",))
            self._say(msgspec.json.encode(piece.text)[1:-1])
            return
        self._begin(piece, '"')
        if piece.text != '"':
            self._say(piece.text.encode())  # what stands between a string's quotes is a literal's inside already

    def _say(self, inside: bytes) -> None:
        """More text: joined to the last of this read, so that one read gives one delta."""
        last = self._out[-1] if self._out else None
        if isinstance(last, Text):
            self._out[-1] = Text(self._choice, last.literal[:-1] + inside + b'"')
        elif inside:
            self._out.append(Text(self._choice, b'"' + inside + b'"'))

    def _named(self, number: int, piece: Piece) -> None:
        self._name += piece.text
        if piece.ended:
            name, self._name = msgspec.json.decode(self._name), ""
            if not isinstance(name, str) or number != self._calls:
                _malformed("a call has two names, or one that is not a string")
            self._calls += 1
            self._out.append(ToolOpen(self._choice, number, call_id(self._ask_id, self._choice, number), name))

    def _argued(self, number: int, text: str) -> None:
        if number >= self._calls:
            _malformed("a call's arguments come before its name")
        inside = msgspec.json.encode(text)[1:-1]
        last = self._out[-1] if self._out else None
        if isinstance(last, ToolArgs) and last.call == number:
            self._out[-1] = ToolArgs(self._choice, number, last.literal[:-1] + inside + b'"')
        elif inside:
            self._out.append(ToolArgs(self._choice, number, b'"' + inside + b'"'))


def _malformed(what: str) -> NoReturn:
    raise Failure(Cause.UPSTREAM_MALFORMED, f"The model's answer is not the JSON that its grammar asks for: {what}.")
