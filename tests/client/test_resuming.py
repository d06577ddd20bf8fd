from __future__ import annotations

from random import Random

import pytest

from riverrun.clients.events import Malformed
from riverrun.clients.patience import Patience
from riverrun.clients.resuming import COME_AGAIN, Resuming
from riverrun.wire import sse

STREAM = {"content-type": "text/event-stream; charset=utf-8"}
READ_ERROR = OSError("reset")


def state(read_limit: float | None = 600.0) -> Resuming:
    return Resuming(Patience(), read_limit, Random(1))


def begun(read_limit: float | None = 600.0) -> Resuming:
    resuming = state(read_limit)
    resuming.feed(sse.frame(1, b"{}"), 0.0)
    return resuming


def test_the_pauses_grow_up_to_the_longest_and_end_with_the_patience() -> None:
    resuming, now, pauses = begun(), 0.0, []
    while (pause := resuming.lost(now)) is not None:
        pauses.append(pause)
        now += pause
    assert now == pytest.approx(60.0)
    assert 0.05 <= pauses[0] <= 0.1
    assert 2.5 <= max(pauses) <= 5.0


def test_a_new_event_makes_the_patience_whole() -> None:
    resuming = begun()
    assert resuming.lost(0.0) is not None
    assert resuming.lost(59.0) is not None
    resuming.feed(sse.frame(2, b"{}"), 100.0)
    pause = resuming.lost(100.0)
    assert pause is not None
    assert pause <= 0.1
    assert resuming.lost(159.0) is not None
    assert resuming.lost(160.0) is None


def test_a_heartbeat_shows_that_somebody_is_there() -> None:
    resuming = begun()
    resuming.lost(0.0)
    resuming.feed(sse.HEARTBEAT, 60.5)
    assert resuming.lost(61.0) is not None


@pytest.mark.parametrize("nothing_new", [sse.frame(1, b"{}"), b"data: x"], ids=["an old event", "no end"])
@pytest.mark.parametrize("broken", [True, False])
def test_bytes_that_bring_nothing_new_use_the_patience_up(nothing_new: bytes, broken: bool) -> None:
    """On a connection that never breaks, too; but not by the user's read timeout, as there is no silence."""
    resuming = begun(read_limit=2.0)
    if broken:
        assert resuming.lost(0.0) is not None
    for now in (0.0, 30.0, 59.0):
        assert resuming.feed(nothing_new, now) == b""
    with pytest.raises(Malformed, match="after event 1 bytes came for long, but no new event"):
        resuming.feed(nothing_new, 60.0)


def test_a_heartbeat_between_old_events_makes_the_patience_whole() -> None:
    resuming = begun()
    resuming.feed(sse.frame(1, b"{}"), 0.0)
    resuming.feed(sse.HEARTBEAT, 59.0)
    assert resuming.feed(sse.frame(1, b"{}"), 61.0) == b""


def test_a_server_that_asks_to_come_back_late_has_the_last_word() -> None:
    resuming = begun()
    resuming.lost(0.0)
    error = b'data: {"error":{"message":"going down"}}\n\n'
    assert resuming.feed(error, 61.0) == b""
    assert resuming.asked_back
    assert resuming.lost(61.0) is None
    assert resuming.parting == error


def test_a_user_who_waits_less_is_not_kept_longer() -> None:
    resuming = begun(read_limit=2.0)
    assert resuming.silent_after == 2.0
    assert resuming.lost(0.0) is not None
    assert resuming.lost(2.0) is None
    with pytest.raises(OSError, match="reset"):
        resuming.broken(READ_ERROR, silent=True)


@pytest.mark.parametrize("limit", [600.0, None])
def test_silence_is_a_break_where_the_user_waits_longer(limit: float | None) -> None:
    resuming = begun(limit)
    assert resuming.silent_after == 30.0
    assert resuming.broken(READ_ERROR, silent=True)


@pytest.mark.parametrize("status", sorted(COME_AGAIN))
def test_a_server_that_is_away_is_asked_again(status: int) -> None:
    resuming = begun()
    assert resuming.lost(0.0) is not None
    assert resuming.answered(status, {}, 1.0) is not None
    assert resuming.answered(status, {"retry-after": "3"}, 2.0) == 3.0
    assert resuming.answered(status, {}, 60.0) is None


@pytest.mark.parametrize("text", ["²", "-3", "3.5", "1e3", "soon", "9" * 400, "9" * 5000])
def test_a_bad_retry_after_is_ignored(text: str) -> None:
    pause = begun().answered(503, {"retry-after": text}, 0.0)
    assert pause is not None
    assert pause <= 0.1


@pytest.mark.parametrize("status", [204, 301, 400, 401, 404, 410, 500])
def test_a_server_that_has_nothing_more_is_left(status: int) -> None:
    resuming = begun()
    resuming.lost(0.0)
    assert resuming.answered(status, {}, 1.0) is None


def test_only_a_stream_goes_on_with_a_stream() -> None:
    assert begun().answered(200, STREAM, 0.0) == 0.0
    assert begun().answered(200, {"content-type": "text/html"}, 0.0) is None


def test_the_cursor_is_the_last_event() -> None:
    assert state().cursor == {}
    assert begun().cursor == {"last-event-id": "1"}


@pytest.mark.parametrize(
    ("last", "error", "resumes"),
    [
        (b"{}", None, True),
        (b"{}", READ_ERROR, True),
        (b"[DONE]", None, False),
        (b"[DONE]", READ_ERROR, False),
        (b'{"error":{}}', None, False),
    ],
)
def test_what_ends_and_what_breaks(last: bytes, error: Exception | None, resumes: bool) -> None:
    resuming = begun()
    resuming.feed(sse.frame(2, last), 0.0)
    assert resuming.broken(error, silent=False) is resumes


def test_a_cut_after_the_streams_own_error_stays_a_cut() -> None:
    resuming = begun()
    resuming.feed(sse.frame(2, b'{"error":{"message":"no"}}'), 0.0)
    with pytest.raises(OSError, match="reset"):
        resuming.broken(READ_ERROR, silent=False)
