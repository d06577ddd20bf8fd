from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.clients.events import LONGEST, Events, Malformed
from riverrun.wire import sse

TAPE = [sse.frame(number, b'{"n":"\xf0\x9f\x8c\x8a%d"}' % number) for number in range(1, 6)] + [sse.frame(6, b"[DONE]")]
STREAM = sse.HEARTBEAT + b"".join(TAPE[:3]) + sse.HEARTBEAT * 2 + b"".join(TAPE[3:])


@given(st.lists(st.integers(0, len(STREAM)), max_size=8), st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_any_cuts_and_any_blocks_give_every_event_once(breaks: list[int], splits: list[int]) -> None:
    """Each connection tells the tape from the cursor on, and breaks where it will; the last one is whole."""
    events, out = Events(), b""
    for length in [*breaks, len(STREAM)]:
        told = sse.HEARTBEAT + b"".join(TAPE[events.last :])
        told = told[:length]
        places = [0, *sorted(place for place in splits if place < len(told)), len(told)]
        for start, end in pairwise(places):
            out += events.feed(told[start:end])
        events.cut()
    assert out.replace(sse.HEARTBEAT, b"") == b"".join(TAPE)
    assert events.end == "done"


@given(st.integers(0, len(STREAM)))
def test_nothing_is_held_back_longer_than_needed(length: int) -> None:
    events = Events()
    out = events.feed(STREAM[:length])
    rest = STREAM[len(out) : length]
    assert STREAM.startswith(out)
    assert b"\n\n" not in rest
    assert not (rest.startswith(b":") and b"\n" in rest)


def test_an_event_that_was_seen_is_not_handed_out_again() -> None:
    events = Events()
    events.feed(TAPE[0] + TAPE[1])
    assert events.feed(TAPE[0] + TAPE[1] + TAPE[2]) == TAPE[2]


@pytest.mark.parametrize("number", [b"3", b"x", b"-1", b"\xb2", b"\xc2\xb2", b"9" * 5000, b"0" * 5000 + b"2"])
def test_a_number_that_cannot_be_next_is_malformed(number: bytes) -> None:
    events = Events()
    events.feed(TAPE[0])
    with pytest.raises(Malformed, match="after event 1"):
        events.feed(b"id: " + number + b"\ndata: {}\n\n")


def test_an_event_without_end_is_malformed() -> None:
    events = Events()
    with pytest.raises(Malformed, match="event 1 is larger"):
        events.feed(b"data: " + b"x" * LONGEST)


@pytest.mark.parametrize("name", [b"data: ", b"event: ", b": "])
def test_an_event_that_ends_too_late_is_malformed(name: bytes) -> None:
    events = Events()
    assert events.feed(name + b"x" * (LONGEST - len(name))) == b""
    with pytest.raises(Malformed, match="event 1 is larger"):
        events.feed(b"x\r\n\n" if name != b": " else b"x")


@pytest.mark.parametrize("opening", [b"data: ", b": ", b"data: x\n:"])
def test_a_large_event_is_searched_once(opening: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each search looks at, counted: all of them together see each byte a few times."""
    seen = 0

    class Counted(bytearray):
        def rfind(self, what: bytes, start: int) -> int:  # type: ignore[override]
            nonlocal seen
            seen += len(self) - start
            return super().rfind(what, start)

        def find(self, what: bytes, start: int) -> int:  # type: ignore[override]
            nonlocal seen
            seen += len(self) - start
            return super().find(what, start)

    monkeypatch.setattr("riverrun.clients.events.bytearray", Counted, raising=False)
    events = Events()
    block = b"x" * 4096
    assert events.feed(opening) == b""
    for _ in range(256):
        assert events.feed(block) == b""
    assert events.feed(b"\n\n") == opening + block * 256 + b"\n\n"
    assert 256 * 4096 < seen < 3 * 256 * 4096


def test_an_error_with_a_number_is_the_end() -> None:
    events = Events()
    error = sse.frame(1, b'{"error":{"message":"no"}}')
    assert events.feed(error) == error
    assert events.end == "failed"


def test_an_error_without_a_number_is_kept_for_the_end() -> None:
    events = Events()
    error = b'data: {"error":{"message":"going down"}}\n\n'
    assert events.feed(TAPE[0] + error) == TAPE[0]
    assert (events.end, events.parting) == ("come back", error)
    events.cut()
    assert events.feed(TAPE[1]) == TAPE[1]
    assert (events.end, events.parting) == ("", b"")


@pytest.mark.parametrize("text", ['{"error":null}', '{"say":"\\"error\\""}', '["error"]', '{"error"'])
def test_what_only_looks_like_an_error_is_text(text: str) -> None:
    events = Events()
    events.feed(sse.frame(1, text.encode()))
    assert events.end == ""


def test_events_without_numbers_pass_and_are_remembered_as_lost_to_resuming() -> None:
    events = Events()
    assert events.feed(b"data: {}\n\n") == b"data: {}\n\n"
    assert not events.numbered
