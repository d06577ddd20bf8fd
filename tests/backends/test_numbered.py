"""Which answers can be come back to, and which of their events are new."""

from __future__ import annotations

from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.backends.content import Content, Streamed, Whole
from riverrun.backends.numbered import PLACE, Lost, Numbered, goes_on, numbered
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta
from riverrun.wire.sse import frame
from tests.backends.asking import PlainReader, target
from tests.backends.returning import WORDS, frames

TO = target("http://127.0.0.1:9")
PLAIN = set(ascii_letters + digits + "-_")
EVENT_STREAM = {"content-type": "text/event-stream; charset=utf-8"}


def stream() -> Numbered:
    return Numbered(PlainReader(), TO, "chatcmpl-1")


def said(content: Content, block: bytes) -> list[Delta]:
    deltas: list[Delta] = []
    content.feed(block, deltas)
    return deltas


@pytest.mark.parametrize(
    ("location", "completion"),
    [
        ("/v1/chat/completions/chatcmpl-0aF_9", "chatcmpl-0aF_9"),
        ("/v1/chat/completions/" + "a" * 128, "a" * 128),
        ("/v1/chat/completions/" + "a" * 129, None),
        ("/v1/chat/completions/a\n", None),
        ("x/v1/chat/completions/a", None),
    ],
)
def test_a_location_of_that_one_shape_names_a_completion(location: str, completion: str | None) -> None:
    reader = PlainReader()
    found = numbered(Streamed(reader, "sse", TO), reader, {"location": location}, TO)
    assert (found and found.completion) == completion


@given(st.text(max_size=60) | st.text(max_size=20).map(lambda end: "/v1/chat/completions/" + end))
def test_no_location_brings_more_than_one_plain_segment(location: str) -> None:
    place = PLACE.fullmatch(location)
    assert place is None or set(place[1]) <= PLAIN


def test_only_a_stream_of_events_can_be_come_back_to() -> None:
    reader, headers = PlainReader(), {"location": "/v1/chat/completions/a"}
    assert numbered(Whole(reader, TO), reader, headers, TO) is None
    assert numbered(Streamed(reader, "ndjson", TO), reader, headers, TO) is None
    assert numbered(Streamed(reader, "sse", TO), reader, {}, TO) is None


@pytest.mark.parametrize(
    ("status", "headers", "on"),
    [
        (200, EVENT_STREAM, True),
        (204, {}, False),
        (200, {"content-type": "application/json"}, False),
        (200, {**EVENT_STREAM, "content-encoding": "gzip"}, False),
        (410, EVENT_STREAM, False),
        (206, EVENT_STREAM, False),
    ],
)
def test_the_head_of_the_rest(status: int, headers: dict[str, str], on: bool) -> None:
    assert goes_on(status, headers) is on


@given(st.lists(st.tuples(st.integers(0, len(frames())), st.integers(0, 5)), max_size=6))
def test_however_often_it_breaks_every_event_is_read_once(breaks: list[tuple[int, int]]) -> None:
    content, deltas = stream(), list[Delta]()
    for size, overlap in breaks:
        if not content.done:
            content.feed(frames(max(0, content.last - overlap))[:size], deltas)
            content.again()
    if not content.done:
        content.feed(frames(content.last), deltas)
    assert content.done
    assert deltas == said(stream(), frames())


def test_a_gap_tells_what_came_before_it() -> None:
    content, deltas = stream(), list[Delta]()
    with pytest.raises(Failure, match="after event 1 ") as caught:
        content.feed(frame(1, WORDS[0]) + frame(3, WORDS[2]), deltas)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
    assert len(deltas) == 1


def test_an_end_without_an_ending_is_lost_until_it_is_given_up() -> None:
    content = stream()
    said(content, frame(1, b"Hello") + frame(2, b"..."))
    with pytest.raises(Lost) as caught:
        content.finish([])
    assert caught.value.failure.cause is Cause.UPSTREAM_INTERRUPTED
    deltas: list[Delta] = []
    assert content.given_up(deltas)
    assert len(deltas) == 1


@pytest.mark.parametrize("again", [False, True])
def test_a_stream_that_broke_is_no_whole_one(again: bool) -> None:
    content = stream()
    said(content, frame(1, b"..."))
    if again:
        with pytest.raises(Lost):
            content.finish([])
        content.again()  # and this connection broke, with no end at all
    assert not content.given_up([])


def test_half_an_event_is_no_end() -> None:
    content = stream()
    said(content, frame(1, b"...") + b"id: 2\nda")
    with pytest.raises(Lost):
        content.finish([])
    assert not content.given_up([])


def test_after_a_return_the_first_event_has_to_be_the_first_one() -> None:
    content = stream()
    content.again()
    with pytest.raises(Failure, match="after event 0 "):
        said(content, frame(2, b"x"))


def test_an_event_of_a_numbered_stream_has_a_limit_as_ever() -> None:
    with pytest.raises(Failure, match="larger than") as caught:
        said(stream(), b"id: 1\ndata: " + b"x" * 5_000_000)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
