from __future__ import annotations

import json

from riverrun.dialects.citations import Citations
from riverrun.stream.deltas import Annotation, Delta, Text


def places(deltas: list[Delta]) -> list[tuple[str, int, int]]:
    notes = [json.loads(each.value)["url_citation"] for each in deltas if isinstance(each, Annotation)]
    return [(note["url"], note["start_index"], note["end_index"]) for note in notes]


def test_places_are_counted_in_characters_of_the_whole_text() -> None:
    citations = Citations(0)
    assert citations.say(b'"ab"') == Text(0, b'"ab"')
    assert citations.close() == []
    citations.say(b'"\\u00e9\\n"')
    citations.cite("u", "t")
    citations.cite("u", "t")
    citations.cite(None, "a document")
    citations.say('"🌍"'.encode())
    citations.cite("v", None)
    assert places(citations.close()) == [("u", 2, 5), ("v", 2, 5)]
    citations.say(b'"x"')
    citations.cite("w", "")
    assert places(citations.close()) == [("w", 5, 6)]
