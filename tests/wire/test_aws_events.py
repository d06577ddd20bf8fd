from __future__ import annotations

import random
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.wire.aws_events import BrokenFrame, Decoder
from riverrun.wire.sse import Event, EventTooLong
from tests.wire.frames import error, exception, frame, header, raw_frame

# The specification's own kinds of header, one of each type, before the two that we look at.
EVERY_TYPE = b"".join(
    bytes([1]) + b"h" + bytes([kind]) + value
    for kind, value in [
        (0, b""), (1, b""), (2, b"x"), (3, b"xx"), (4, b"xxxx"), (5, b"x" * 8),
        (6, b"\0\3xyz"), (7, b"\0\0"), (8, b"x" * 8), (9, b"x" * 16),
    ]
)  # fmt: skip

STREAM = (
    frame("messageStart", b'{"role":"assistant"}')
    + raw_frame(EVERY_TYPE + header(":event-type", "odd"), b"{}")
    + frame("contentBlockDelta", '{"delta":{"text":"łódź 🌊"}}'.encode())
    + exception("throttlingException", b'{"message":"slow"}')
    + error("Broken", 'it "broke"')
)
EVENTS = [
    Event(b'{"role":"assistant"}', b"messageStart"),
    Event(b"{}", b"odd"),
    Event('{"delta":{"text":"łódź 🌊"}}'.encode(), b"contentBlockDelta"),
    Event(b'{"message":"slow"}', b"throttlingException"),
    Event(b'{"code":"Broken","message":"it \\"broke\\""}', b"error"),
]


def decoded(*blocks: bytes) -> list[Event]:
    decoder = Decoder()
    events = [event for block in blocks for event in decoder.feed(block)]
    assert not decoder.partial
    return events


def test_the_example_of_another_implementation() -> None:
    """`{"foo": "bar"}` without headers, as the Elixir package event_stream writes it."""
    example = bytes([0, 0, 0, 30, 0, 0, 0, 0, 186, 242, 246, 138, *b'{"foo": "bar"}', 174, 114, 88, 228])
    assert decoded(example) == [Event(b'{"foo": "bar"}')]
    assert raw_frame(b"", b'{"foo": "bar"}') == example


def test_one_block_or_one_byte_at_a_time_or_any_two_pieces() -> None:
    assert decoded(STREAM) == EVENTS
    assert decoded(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS
    for cut in range(len(STREAM) + 1):
        assert decoded(STREAM[:cut], STREAM[cut:]) == EVENTS


def test_many_random_splits() -> None:
    draw = random.Random(1)
    for _ in range(200):
        cuts = sorted(draw.randrange(len(STREAM)) for _ in range(draw.randrange(1, 20)))
        ends = [*cuts, len(STREAM)]
        assert decoded(*(STREAM[start:end] for start, end in zip([0, *cuts], ends, strict=True))) == EVENTS


def test_a_frame_that_was_cut_is_partial() -> None:
    for cut in range(1, len(frame("e", b"{}"))):
        decoder = Decoder()
        assert decoder.feed(frame("e", b"{}")[:cut]) == []
        assert decoder.partial
    assert not Decoder().partial


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(STREAM) * 8 - 1), st.integers(1, 64))
def test_a_flipped_bit_is_never_read_as_an_answer(bit: int, size: int) -> None:
    damaged = bytearray(STREAM)
    damaged[bit // 8] ^= 1 << bit % 8
    decoder, events = Decoder(), list[Event]()
    try:
        for at in range(0, len(damaged), size):
            events += decoder.feed(bytes(damaged[at : at + size]))
    except BrokenFrame:
        pass
    else:
        raise AssertionError("the damage was not seen")
    assert events == EVENTS[: len(events)]


@pytest.mark.parametrize(
    "headers",
    [
        b"\1h\x0a",  # no such type
        b"\1h",  # no type
        b"\7h",  # the name is longer than the headers
        b"\1h\7\0\5abc",  # the value is
        b"\1h\7\0",  # the value's length is cut
        b"\1h\4abc",
    ],
)
def test_headers_that_do_not_fit(headers: bytes) -> None:
    with pytest.raises(BrokenFrame):
        Decoder().feed(raw_frame(headers, b"{}"))


def test_lengths_that_do_not_fit() -> None:
    for lengths in (b"\0\0\0\x0f\0\0\0\0", b"\0\0\0\x14\0\0\0\x05"):
        with pytest.raises(BrokenFrame):
            Decoder().feed(lengths + crc32(lengths).to_bytes(4, "big"))


def test_a_frame_over_the_limit_is_refused_before_it_is_there() -> None:
    giant = frame("e", b"x" * 1000)
    assert len(Decoder(limit=len(giant)).feed(giant)) == 1
    with pytest.raises(EventTooLong):
        Decoder(limit=len(giant) - 1).feed(giant[:12])
