"""JSON as it arrived, made fit to be carried on: checked to be UTF-8, and not decoded."""

from __future__ import annotations

import msgspec
from msgspec import Raw

EMPTY = frozenset({b"", b"null", b'""'})
"""A text that says nothing: absent, null, or without characters."""


def text(raw: Raw) -> bytes | None:
    """A JSON string literal, or None where it says nothing. Raises ValueError where it is none, or not UTF-8."""
    literal = bytes(raw)
    if literal in EMPTY:
        return None
    if literal[:1] != b'"':
        raise ValueError("a text is not a string")
    if not literal.isascii():
        literal.decode()  # msgspec has checked the JSON and its escapes, but lets invalid UTF-8 through
    return literal


def document(raw: Raw) -> bytes | None:
    """A JSON value as the string literal that holds it, as a call's `arguments` do; None where there is none.

    A string is taken to be the document already. Raises ValueError where it is not UTF-8.
    """
    value = bytes(raw)
    if value in EMPTY:
        return None
    return text(raw) if value[:1] == b'"' else msgspec.json.encode(msgspec.json.format(value, indent=-1).decode())
