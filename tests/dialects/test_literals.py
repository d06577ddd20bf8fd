from __future__ import annotations

import pytest
from msgspec import Raw

from riverrun.dialects.literals import document, text


@pytest.mark.parametrize("raw", [b"", b"null", b'""'])
def test_nothing_is_nothing(raw: bytes) -> None:
    assert text(Raw(raw)) is None
    assert document(Raw(raw)) is None


def test_a_text_is_carried_as_it_came() -> None:
    assert text(Raw('"é\\n\\ud83d\\ude00"'.encode())) == '"é\\n\\ud83d\\ude00"'.encode()


@pytest.mark.parametrize("raw", [b"5", b"{}", b'"\xff"'])
def test_what_is_no_text_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"text|utf-8"):
        text(Raw(raw))


@pytest.mark.parametrize(
    ("raw", "literal"),
    [
        (b'{ "a" :\n [1, 1e2] }', rb'"{\"a\":[1,1e2]}"'),
        ('{"é":"\\""}'.encode(), '"{\\"é\\":\\"\\\\\\"\\"}"'.encode()),
        (rb'"{\"a\":1}"', rb'"{\"a\":1}"'),
    ],
)
def test_a_document_is_a_string_that_holds_it(raw: bytes, literal: bytes) -> None:
    assert document(Raw(raw)) == literal
