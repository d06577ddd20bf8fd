"""A body is cut into events as the dialect's language has it, and a stream of another kind is not read."""

from __future__ import annotations

import pytest

from riverrun.backends.content import FRAMERS, KINDS, content
from riverrun.dialects.contract import Framing
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Text
from riverrun.wire.aws_events import BrokenFrame
from tests.backends.asking import ASK, Plain, PlainReader, target
from tests.wire.frames import frame

BODIES: dict[Framing, bytes] = {
    "sse": b"data: Hi\n\ndata: [END]\n\n",
    "ndjson": b"Hi\n[END]\n",
    "aws_events": frame("x", b"Hi") + frame("x", b"[END]"),
}
TO = target("http://upstream.test")


def heard(framing: Framing, kind: str, body: bytes) -> list[Delta]:
    dialect = Plain()
    dialect.framing = framing
    this = content(dialect, PlainReader(), 200, {"content-type": kind}, ASK, TO)
    deltas: list[Delta] = []
    this.feed(body, deltas)
    if not this.done:
        this.finish(deltas)
    return deltas


def test_every_framing_has_a_framer_and_a_content_type() -> None:
    assert FRAMERS.keys() == BODIES.keys() == set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_is_read_by_the_dialects_framer_alone(kind: str) -> None:
    for framing, body in BODIES.items():
        if KINDS[kind] == framing:
            assert heard(framing, f"{kind}; charset=utf-8", body) == [Text(0, b'"Hi"'), Finish(0, "stop")]
        else:
            with pytest.raises(Failure) as caught:
                heard(framing, kind, body)
            assert caught.value.cause is Cause.UPSTREAM_MALFORMED


@pytest.mark.parametrize(("framing", "kind"), [(framing, kind) for kind, framing in KINDS.items()])
def test_a_cut_inside_an_event_is_seen(framing: Framing, kind: str) -> None:
    with pytest.raises(Failure) as caught:
        heard(framing, kind, BODIES[framing][: len(BODIES[framing]) // 2 + 3])
    assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


def test_a_damaged_frame_is_a_malformed_answer() -> None:
    damaged = BODIES["aws_events"].replace(b"Hi", b"Ho")
    with pytest.raises(BrokenFrame):
        FRAMERS["aws_events"]().feed(damaged)
    with pytest.raises(Failure) as caught:
        heard("aws_events", "application/vnd.amazon.eventstream", damaged)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
