"""The line decoder under every split."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.wire.ndjson import Decoder
from riverrun.wire.sse import Event, EventTooLong

RULES = [
    pytest.param(b'{"a":1}\n', [Event(b'{"a":1}')], id="one line"),
    pytest.param(b'{"a":1}\n{"b":2}\n', [Event(b'{"a":1}'), Event(b'{"b":2}')], id="two lines"),
    pytest.param(b"\n \n1\n\n", [Event(b"1")], id="empty lines are none"),
    pytest.param(b"1\r\n2\r\n", [Event(b"1\r"), Event(b"2\r")], id="a CR is white space of the JSON"),
    pytest.param(b'{"a":1}', [], id="nothing before the line feed"),
    pytest.param('"é😀"\n'.encode(), [Event('"é😀"'.encode())], id="bytes are handed on"),
]


def decoded(pieces: list[bytes]) -> list[Event]:
    decoder = Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize(("stream", "events"), RULES)
def test_rules_hold_under_every_split(stream: bytes, events: list[Event]) -> None:
    assert decoded([stream]) == events
    assert decoded([stream[at : at + 1] for at in range(len(stream))]) == events
    for cut in range(len(stream) + 1):
        assert decoded([stream[:cut], stream[cut:]]) == events


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=8)), max_size=6), st.lists(st.integers(0, 200)))
def test_what_was_written_comes_back_under_any_split(values: list[dict[str, str]], cuts: list[int]) -> None:
    stream = b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    events = decoded([stream[start:end] for start, end in pairwise(places)])
    assert [json.loads(event.data) for event in events] == values


@pytest.mark.parametrize(
    ("stream", "partial"), [(b"", False), (b"1\n", False), (b"1", True), (b"1\n2", True), (b"\n ", False)]
)
def test_partial_tells_a_cut_line(stream: bytes, partial: bool) -> None:
    decoder = Decoder()
    decoder.feed(stream)
    assert decoder.partial is partial


@pytest.mark.parametrize("pieces", [[b"x" * 101], [b"x"] * 101, [b"x" * 60, b"x" * 60 + b"\n"], [b"x" * 101 + b"\n1"]])
def test_a_line_over_the_limit_is_refused_however_it_comes(pieces: list[bytes]) -> None:
    decoder = Decoder(limit=100)
    for piece in pieces[:-1]:
        decoder.feed(piece)
    with pytest.raises(EventTooLong, match="100 bytes"):
        decoder.feed(pieces[-1])


def test_many_lines_in_one_read_are_no_long_line() -> None:
    decoder = Decoder(limit=100)
    for _ in range(5):
        assert len(decoder.feed(b"0123456789\n" * 50)) == 50
