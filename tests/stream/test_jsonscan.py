from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.stream.jsonscan import MAX_DEPTH, NotJson, Path, Piece, Scanner
from riverrun.wire.jsonvalue import JsonValue

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def scan(pieces: list[str]) -> list[Piece]:
    scanner = Scanner()
    out = [piece for text in pieces for piece in scanner.feed(text)]
    out += scanner.close()
    assert scanner.complete
    return out


def split(text: str, cuts: list[int]) -> list[str]:
    at = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[begin:end] for begin, end in pairwise(at)]


def value_at(path: Path, whole: JsonValue) -> JsonValue:
    for step in path:
        assert isinstance(whole, dict | list)
        whole = whole[step]  # type: ignore[index]
    return whole


@given(values, st.booleans(), st.sampled_from([None, 1]), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_document_under_any_split_is_itself_without_its_spaces(
    value: JsonValue, escaped: bool, indent: int | None, cuts: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    out = "".join(piece.text for piece in scan(split(text, cuts)))
    assert out == json.dumps(value, ensure_ascii=escaped, separators=(",", ":"))


@given(values, st.lists(st.integers(0, 10_000), max_size=20))
def test_the_pieces_under_a_path_are_the_value_there(value: JsonValue, cuts: list[int]) -> None:
    pieces = scan(split(json.dumps(value), cuts))
    for ended in (piece for piece in pieces if piece.ended):
        depth = len(ended.path)
        raw = "".join(piece.text for piece in pieces if piece.path[:depth] == ended.path)
        assert json.loads(raw) == value_at(ended.path, value)


@given(texts, st.lists(st.integers(0, 10_000), max_size=20))
def test_no_piece_splits_an_escape_or_a_pair(text: str, cuts: list[int]) -> None:
    for piece in scan(split(json.dumps(text), cuts)):
        if piece.text != '"':
            json.loads(f'"{piece.text}"').encode()


@pytest.mark.parametrize("raw", [r"\ud83d", r"\ude00", r"\ud83dx", r"\ud83d\n", r"\ud83d\ud83d\ude00", r"\uD83D\u0041"])
def test_a_lone_surrogate_becomes_the_replacement_character(raw: str) -> None:
    for size in (1, 2, 100):
        text = f'"{raw}"'
        pieces = scan([text[at : at + size] for at in range(0, len(text), size)])
        spoken = json.loads("".join(piece.text for piece in pieces))
        assert spoken == json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize(
    "text",
    ["{]", "[1 2]", '{"a" 1}', '{"a":1,}', "[,]", "[1,]", "{1:2}", "01", "1.", "+1", "NaN", "nul", "tru e", '"\\x"',
     '"\\u12g4"', '"\n"', "{} {}", "1 2", "]", "[}", '{"a":}', "-", "1e", ":", "'a'", "\ufeff1"],
)  # fmt: skip
def test_what_is_not_json_is_refused(text: str) -> None:
    for pieces in ([text], list(text)):
        with pytest.raises(NotJson):
            scan(pieces)


@given(st.text(alphabet='{}[]",:\\ u019-eE.truefalsn\t', max_size=30))
def test_it_takes_exactly_what_the_standard_library_takes(text: str) -> None:
    try:
        json.loads(text)
        valid = True
    except ValueError:
        valid = False
    try:
        scan(list(text))
        taken = True
    except NotJson:
        taken = False
    assert taken == valid


@pytest.mark.parametrize("text", ["", "  ", "{", '{"a":"x', '["\\', "[1", '"\\ud83d'])
def test_a_document_that_was_cut_is_not_complete(text: str) -> None:
    scanner = Scanner()
    scanner.feed(text)
    assert not scanner.complete
    with pytest.raises(NotJson):
        scanner.close()


def test_a_number_at_the_root_ends_with_the_text() -> None:
    scanner = Scanner()
    assert scanner.feed("12") == [Piece((), "12")]
    assert not scanner.complete
    assert scanner.close() == [Piece((), "", ended=True)]
    assert scanner.complete


def test_nesting_has_a_bound() -> None:
    scan(["[" * MAX_DEPTH + "]" * MAX_DEPTH])
    with pytest.raises(NotJson):
        scan(["[" * (MAX_DEPTH + 1)])
