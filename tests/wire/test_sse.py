"""The decoder under every split, by the WHATWG rules; the encoder against the decoder."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.wire.sse import HEARTBEAT, Decoder, Event, EventTooLong, Numbering, frame

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "recordings" / "openai"

RULES = [
    pytest.param(b"data: a\n\n", [Event(b"a")], id="one event"),
    pytest.param(b"data:a\n\ndata:  b\n\n", [Event(b"a"), Event(b" b")], id="one space belongs to the colon"),
    pytest.param(b"data: a\ndata: b\n\n", [Event(b"a\nb")], id="data lines join"),
    pytest.param(b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", [Event(b"a"), Event(b"b"), Event(b"c")], id="line ends"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")], id="a BOM goes"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="only one BOM goes"),
    pytest.param(b": ping\n\ndata: a\n\n", [Event(b"a")], id="comments say nothing"),
    pytest.param(b"event: error\ndata: a\n\ndata: b\n\n", [Event(b"a", b"error"), Event(b"b")], id="a name lasts once"),
    pytest.param(b"event: ping\n\ndata: a\n\n", [Event(b"a")], id="no data, no event"),
    pytest.param(b"data\n\n", [Event(b"")], id="a field without a colon"),
    pytest.param(b"nonsense: 1\nretry: 5\ndata: a\n\n", [Event(b"a")], id="unknown fields"),
    pytest.param(b"data: a", [], id="nothing before the blank line"),
    pytest.param(b"data: \xf0\x9f\x98\x80\n\n", [Event("😀".encode())], id="bytes are handed on"),
    pytest.param(b"data: a\x00b\n\n", [Event(b"a\x00b")], id="NUL is a character"),
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


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_under_any_split_give_the_same_events(stream: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert decoded(pieces) == decoded([stream])


@given(st.lists(st.sampled_from([b"data: x\n", b"\n", b"\r", b"\r\n", b": c\n", b"event: e\n", b"id: 7\n", b"\xef"])))
def test_line_endings_never_depend_on_the_split(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    assert decoded([stream[at : at + 1] for at in range(len(stream))]) == decoded([stream])


def by_the_rules(stream: bytes) -> list[Event]:
    """The WHATWG's interpretation, a line at a time over the whole stream, as plainly as it can be written."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[Event] = []
    data: list[bytes] = []
    name = id = b""
    for line in text.split(b"\n")[:-1]:
        field, value = line.partition(b":")[0], line.partition(b":")[2].removeprefix(b" ")
        if not line:
            events += [Event(b"\n".join(data), name, id)] if data else []
            data, name, id = [], b"", b""
        elif field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
        elif field == b"id" and b"\0" not in value:
            id = value
    return events


WORD = st.binary(max_size=6).map(lambda raw: raw.translate(None, b"\r\n"))
LINE = st.one_of(
    st.builds(b"%b: %b".__mod__, st.tuples(st.sampled_from([b"data", b"event", b"id", b"", b"retry"]), WORD)),
    st.sampled_from([b"data", b"data:x", b"", b"event", b"id:7", b"\ndata: ", b"nonsense"]),
)
USUAL = st.one_of(WORD.map(b"data: %b\n\n".__mod__), st.tuples(WORD, WORD).map(b"event: %b\ndata: %b\n\n".__mod__))
NUMBERS = st.tuples(WORD, WORD).map(b"id: %b\ndata: %b\n\n".__mod__)
STREAM = st.lists(USUAL | NUMBERS | LINE.map(b"%b\n".__mod__) | st.just(b"\n"), max_size=8).map(b"".join)


@given(
    STREAM | st.lists(USUAL).map(b"".join) | st.lists(NUMBERS).map(b"".join),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(st.integers(0, 99), max_size=5),
)
def test_what_is_cut_at_once_and_what_line_by_line_is_read_the_same(stream: bytes, end: bytes, cuts: list[int]) -> None:
    stream = stream.replace(b"\n", end)
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    numbering = Numbering()
    read = [event for start, stop in pairwise(places) for event in numbering.feed(stream[start:stop])]
    assert read == by_the_rules(stream)
    assert decoded([stream[start:stop] for start, stop in pairwise(places)]) == [Event(e.data, e.name) for e in read]


@pytest.mark.parametrize(
    "stream",
    [
        b"event: a\n\nevent: b\ndata: x\ndata: y\n\n",  # as many lines as two pairs have
        b"event: a\nevent: b\n\nevent: c\ndata: d\n\n",
        b"data: a\ndata: b\n\ndata: c\n\n",
        b"data: a\n\n: c\n\ndata: b\n\n",
        b"data: a\r\n\r\ndata: b\r\n\r\n: c\r\n\r\ndata: d\r\n\r\n",
        b"data: a\r\n\r\ndata: b\rdata: c\r\r\n\r\ndata: d\n\r\n\r\ndata: e\r\n\r\n",
        b"id: 1\n\nid: 2\ndata: x\ndata: y\n\n",
        b"id: 1\ndata: x\n\nid: 2\0\ndata: y\n\n",
    ],
)
def test_what_only_looks_usual(stream: bytes) -> None:
    assert Numbering().feed(stream) == by_the_rules(stream)
    assert Decoder().feed(stream) == [Event(event.data, event.name) for event in by_the_rules(stream)]


def test_an_id_is_remembered_unless_it_holds_a_nul() -> None:
    decoder = Decoder()
    decoder.feed(b"id: 7\ndata: a\n\nid: 8\x00\ndata: b\n\n")
    assert decoder.last_id == b"7"


NUMBERED = [
    pytest.param(b"id: 7\ndata: a\n\n", [Event(b"a", b"", b"7")], id="before the data"),
    pytest.param(b"data: a\nid:7\n\n", [Event(b"a", b"", b"7")], id="after it"),
    pytest.param(b"id: 7\ndata: a\n\ndata: b\n\n", [Event(b"a", b"", b"7"), Event(b"b")], id="its own, not the last"),
    pytest.param(b"id: 7\n\ndata: b\n\n", [Event(b"b")], id="without an event it is nobody's"),
    pytest.param(b"id: 7\nid: 8\ndata: a\n\n", [Event(b"a", b"", b"8")], id="the last one counts"),
    pytest.param(b"id: 7\nid: 8\x00\ndata: a\n\n", [Event(b"a", b"", b"7")], id="a NUL makes it none"),
    pytest.param(b"id\ndata: a\n\n", [Event(b"a")], id="an empty one"),
    pytest.param(b"event: error\nid: 7\ndata: a\n\n", [Event(b"a", b"error", b"7")], id="beside a name"),
    pytest.param(b"identity: 7\ndata: a\n\n", [Event(b"a")], id="another field"),
]


@pytest.mark.parametrize(("stream", "events"), NUMBERED)
def test_numbered_events_say_their_own_id_under_every_split(stream: bytes, events: list[Event]) -> None:
    for cut in range(len(stream) + 1):
        decoder = Numbering()
        assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) == events


@given(
    st.binary(max_size=200) | st.lists(st.sampled_from([b"data: x\n", b"\n", b"id: 7\r", b"event: e\n"])).map(b"".join)
)
def test_but_for_the_ids_both_decoders_read_the_same(stream: bytes) -> None:
    plain, numbering = Decoder(), Numbering()
    named = numbering.feed(stream)
    assert [Event(event.data, event.name) for event in named] == plain.feed(stream)
    assert (numbering.last_id, numbering.partial) == (plain.last_id, plain.partial)


@pytest.mark.parametrize(
    ("stream", "partial"),
    [(b"", False), (b"data: a\n\n", False), (b"data: a\n", True), (b"dat", True), (b"data: a\n\n: c\n", False)],
)
def test_partial_tells_a_cut_event(stream: bytes, partial: bool) -> None:
    decoder = Decoder()
    decoder.feed(stream)
    assert decoder.partial is partial


def test_an_event_over_the_limit_is_refused_however_it_comes() -> None:
    for pieces in ([b"data: " + b"x" * 100], [b"x"] * 101, [b"data: xxxxxxxxx\n"] * 7):
        decoder = Decoder(limit=100)
        for piece in pieces[:-1]:
            decoder.feed(piece)
        with pytest.raises(EventTooLong, match="100 bytes"):
            decoder.feed(pieces[-1])


def test_many_events_in_one_read_are_no_long_event() -> None:
    decoder = Decoder(limit=100)
    for _ in range(5):
        assert len(decoder.feed(b"data: 0123456789\n\n" * 50)) == 50


@given(st.lists(st.text(max_size=20).map(lambda text: json.dumps(text).encode()), max_size=8))
def test_our_own_frames_come_back_with_heartbeats_between(payloads: list[bytes]) -> None:
    stream = b"".join(HEARTBEAT + frame(number, payload) for number, payload in enumerate(payloads, 1))
    decoder = Decoder()
    assert [event.data for event in decoder.feed(stream)] == payloads
    assert decoder.last_id == (str(len(payloads)).encode() if payloads else b"")


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings are not beside this checkout")
def test_real_streams_under_splits_and_truncations() -> None:
    streams = [json.loads(path.read_text())["body"].encode() for path in sorted(RECORDINGS.glob("*.stream.json"))]
    assert streams
    for stream in streams:
        whole = decoded([stream])
        assert whole
        assert decoded([stream[at : at + 7] for at in range(0, len(stream), 7)]) == whole
        for cut in range(0, len(stream), 997):
            events = decoded([stream[:cut]])
            assert events == whole[: len(events)]
            assert decoded([stream[:cut], stream[cut:]]) == whole
