"""Captures and the lines of streams: what is kept, and that it comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.conformance import Capture, load, save
from riverrun.conformance.capture import NotACapture
from riverrun.conformance.lines import frames
from riverrun.conformance.reading import Reading
from riverrun.wire.sse import Decoder
from tests.conformance import streams


def test_a_capture_comes_back_as_it_was(tmp_path: Path) -> None:
    capture = Capture(
        request=b"\xff not JSON",
        status=418,
        headers=(("X-Odd", "é"),),
        blocks=((0.25, b"\x00\xff"), (1.5, b"")),
        ended="cut",
        ended_at=1.75,
        exchange="text",
    )
    save(capture, tmp_path / "one.json")
    assert load(tmp_path / "one.json") == capture


def test_a_bare_stream_is_a_capture_without_a_request(tmp_path: Path) -> None:
    body = streams.rendered(streams.text())
    (tmp_path / "stream.txt").write_bytes(body)
    capture = load(tmp_path / "stream.txt")
    assert (capture.body, capture.request, capture.ended) == (body, None, "unknown")


def test_other_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"status": "ok"}')
    with pytest.raises(NotACapture, match=r"other\.json"):
        load(tmp_path / "other.json")


LINES = st.lists(
    st.sampled_from([b"data: 1", b"data:", b"data", b": hb", b"id: 4", b"event: x", b"retry: 1", b"", b"", b"odd"])
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_frames_keep_every_byte_and_dispatch_what_a_decoder_does(lines: list[bytes], ending: bytes, last: bool) -> None:
    body = ending.join(lines) + (ending if last else b"")
    found = frames(body)
    assert b"".join(frame.raw for frame in found) == body
    assert all(body[frame.start : frame.end] == frame.raw for frame in found)
    dispatched = [frame.data for frame in found if frame.closed and frame.has(b"data")]
    if ending == b"\n":
        assert dispatched == [event.data for event in Decoder().feed(body)]


def test_the_arrival_of_a_byte_is_that_of_its_block() -> None:
    reading = Reading(Capture(blocks=((0.5, b"data: 1\n"), (0.75, b"\n"), (2.0, b"data: 2\n\n"))))
    assert [reading.arrival(place) for place in (0, 7, 8, 9, 17, 99)] == [0.5, 0.5, 0.75, 2.0, 2.0, 2.0]
