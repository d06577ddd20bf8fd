"""A JSON document read as it comes, in pieces of any size: each piece of raw text, and the path it belongs to.

It knows JSON's grammar and nothing of what a document means. White space between tokens is left out; escapes and
surrogate pairs are never split; a lone surrogate, which is no character, becomes U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar, NamedTuple, NoReturn

import msgspec

Path = tuple[str | int, ...]

MAX_DEPTH = 128
"""Containers within containers. Deeper than any tool's arguments; a hostile answer stops here."""

SPACE = re.compile(r"[ \t\n\r]*+")
SCALAR = re.compile(r"[-+.0-9a-zA-Z]++")
WHOLE_SCALAR = re.compile(r"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")

CHARACTERS = re.compile(
    r'(?:[^"\\\x00-\x1f]++'
    r'|\\["\\/bfnrt]'
    r"|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r")++"
)
UNFINISHED_ESCAPE = re.compile(
    r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?\Z"
)
LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class NotJson(ValueError):
    """The text is not JSON. The message says what stood where a token was due."""


class Piece(NamedTuple):
    """Raw JSON text of the value at `path`; `ended` where it completes that value.

    A value's whole text is that of all pieces whose path begins with its own. Keys, commas and colons belong to the
    container. A string's quotes are pieces of their own.
    """

    path: Path
    text: str
    ended: bool = False


class Scanner:
    """One document. `complete` once its value has ended (a bare number at the root ends with `close` only)."""

    def __init__(self) -> None:
        self.complete = False
        self._path: list[str | int] = []
        self._open: list[str] = []  # the brackets that are open
        self._state = "value"
        self._held = ""  # an escape that is not whole yet
        self._token = ""  # the key or scalar so far
        self._out: list[Piece] = []

    def feed(self, text: str) -> list[Piece]:
        """The pieces that this text completes. Raises NotJson."""
        self._out = []
        text, self._held = self._held + text, ""
        at = 0
        while at < len(text):
            if self._state not in INSIDE_TOKEN:
                at = SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
                if at == len(text):
                    break
            at = self.STEPS[self._state](self, text, at)
        return self._out

    def close(self) -> list[Piece]:
        """The end of the text: ends a bare scalar. Raises NotJson where the document is not complete."""
        self._out = []
        if self._state == "scalar" and not self._open:
            self._end_scalar()
        if not self.complete:
            raise NotJson("the text ends before the JSON does")
        return self._out

    # Each step reads one token, or a part of one, at `at`, and says where the next begins.

    def _value(self, text: str, at: int) -> int:
        char = text[at]
        if char == '"':
            self._emit(char)
            self._state = "string"
        elif char in "{[":
            self._enter(char)
        elif SCALAR.match(char):
            self._token = ""
            self._state = "scalar"
            return at
        else:
            self._refuse(text, at, "a value")
        return at + 1

    def _first_item(self, text: str, at: int) -> int:
        return self._leave(text, at) if text[at] == "]" else self._value(text, at)

    def _first_key(self, text: str, at: int) -> int:
        return self._leave(text, at) if text[at] == "}" else self._key(text, at)

    def _key(self, text: str, at: int) -> int:
        if text[at] != '"':
            self._refuse(text, at, "a key")
        self._emit_to_container('"')
        self._token = ""
        self._state = "in key"
        return at + 1

    def _in_key(self, text: str, at: int) -> int:
        run, at, closed = self._characters(text, at)
        self._token += run
        self._emit_to_container(run + '"' if closed else run)
        if closed:
            self._path[-1] = msgspec.json.decode(f'"{self._token}"', type=str)
            self._state = "colon"
        return at

    def _colon(self, text: str, at: int) -> int:
        if text[at] != ":":
            self._refuse(text, at, "a colon")
        self._emit_to_container(":")
        self._state = "value"
        return at + 1

    def _string(self, text: str, at: int) -> int:
        run, at, closed = self._characters(text, at)
        self._emit(run)
        if closed:
            self._emit('"', ended=True)
            self._after_value()
        return at

    def _scalar(self, text: str, at: int) -> int:
        run = SCALAR.match(text, at)
        if run is None:
            self._end_scalar()
            return at
        self._token += run.group()
        self._emit(run.group())
        return run.end()

    def _next(self, text: str, at: int) -> int:
        if text[at] != ",":
            return self._leave(text, at)
        self._emit_to_container(",")
        if self._open[-1] == "{":
            self._state = "key"
        else:
            self._path[-1] = int(self._path[-1]) + 1
            self._state = "value"
        return at + 1

    def _end(self, text: str, at: int) -> int:
        self._refuse(text, at, "the end")

    STEPS: ClassVar[dict[str, Callable[[Scanner, str, int], int]]] = {
        "value": _value,
        "first item": _first_item,
        "first key": _first_key,
        "key": _key,
        "in key": _in_key,
        "colon": _colon,
        "string": _string,
        "scalar": _scalar,
        "next": _next,
        "end": _end,
    }

    def _enter(self, bracket: str) -> None:
        if len(self._open) == MAX_DEPTH:
            raise NotJson(f"it is nested more than {MAX_DEPTH} deep")
        self._emit(bracket)
        self._open.append(bracket)
        self._path.append("" if bracket == "{" else 0)
        self._state = "first key" if bracket == "{" else "first item"

    def _leave(self, text: str, at: int) -> int:
        due = "}" if self._open[-1] == "{" else "]"
        if text[at] != due:
            self._refuse(text, at, f"a comma or {due}")
        self._open.pop()
        self._path.pop()
        self._emit(due, ended=True)
        self._after_value()
        return at + 1

    def _after_value(self) -> None:
        self.complete = not self._open
        self._state = "end" if self.complete else "next"

    def _end_scalar(self) -> None:
        if not WHOLE_SCALAR.fullmatch(self._token):
            raise NotJson(f"{self._token!r} is no JSON value")
        self._emit("", ended=True)
        self._after_value()

    def _characters(self, text: str, at: int) -> tuple[str, int, bool]:
        """What a string holds from `at` on, where it stops, and whether it stops at the closing quote."""
        run = ""
        while at < len(text):
            if found := CHARACTERS.match(text, at):
                run += found.group()
                at = found.end()
            elif text[at] == '"':
                return run, at + 1, True
            elif UNFINISHED_ESCAPE.match(text, at):
                self._held = text[at:]
                return run, len(text), False
            elif lone := LONE_SURROGATE.match(text, at):
                run += "\\ufffd"
                at = lone.end()
            else:
                self._refuse(text, at, "a character of a string")
        return run, at, False

    def _emit(self, text: str, *, ended: bool = False) -> None:
        if text or ended:
            self._out.append(Piece(tuple(self._path), text, ended))

    def _emit_to_container(self, text: str) -> None:
        if text:
            self._out.append(Piece(tuple(self._path[:-1]), text))

    def _refuse(self, text: str, at: int, due: str) -> NoReturn:
        raise NotJson(f"{text[at]!r} stands where {due} was due")


INSIDE_TOKEN = frozenset({"in key", "string", "scalar"})
