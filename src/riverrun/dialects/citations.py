"""The text of an answer and the places on the web that it cites, as the official annotations say them."""

from __future__ import annotations

import msgspec

from riverrun.stream.deltas import Annotation, Delta, Text

BACKSLASH = 0x5C


class Citations:
    """One choice's text, counted, so that a citation can say where in it the cited block stands."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._said = 0  # characters of the whole text
        self._begun = 0  # of them, those before the open block
        self._cited: list[tuple[str, str]] = []

    def say(self, literal: bytes) -> Text:
        """A piece of text, as a JSON string literal."""
        simple = literal.isascii() and BACKSLASH not in literal  # every byte between the quotes is a character
        self._said += len(literal) - 2 if simple else len(msgspec.json.decode(literal, type=str))
        return Text(self._choice, literal)

    def cite(self, url: str | None, title: str | None) -> None:
        """The open block cites this address; a citation of a document has none, and is left out."""
        if url is not None:
            self._cited.append((url, title or ""))

    def close(self) -> list[Delta]:
        """The block has ended: its citations, once each, with the place of its text."""
        out: list[Delta] = []
        for url, title in dict.fromkeys(self._cited):
            place = {"start_index": self._begun, "end_index": self._said, "title": title, "url": url}
            note = {"type": "url_citation", "url_citation": place}
            out.append(Annotation(self._choice, msgspec.json.encode(note)))
        self._cited.clear()
        self._begun = self._said
        return out
