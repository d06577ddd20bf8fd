from __future__ import annotations

from random import Random

import pytest

from riverrun.clients.patience import Patience
from riverrun.clients.resuming import COME_AGAIN, Resuming
from riverrun.wire import sse

STREAM = {"content-type": "text/event-stream; charset=utf-8"}
READ_ERROR = OSError("reset")


def state(read_limit: float | None = 600.0) -> Resuming:
    return Resuming(Patience(), read_limit, Random(1))


def begun(read_limit: float | None = 600.0) -> Resuming:
    resuming = state(read_limit)
    resuming.feed(sse.frame(1, b"{}"))
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
    resuming.feed(sse.frame(2, b"{}"))
    pause = resuming.lost(100.0)
    assert pause is not None
    assert pause <= 0.1
    assert resuming.lost(159.0) is not None
    assert resuming.lost(160.0) is None


def test_a_heartbeat_shows_that_somebody_is_there() -> None:
    resuming = begun()
    resuming.lost(0.0)
    resuming.feed(sse.HEARTBEAT)
    assert resuming.lost(61.0) is not None


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
    resuming.feed(sse.frame(2, last))
    assert resuming.broken(error, silent=False) is resumes


def test_a_cut_after_the_streams_own_error_stays_a_cut() -> None:
    resuming = begun()
    resuming.feed(sse.frame(2, b'{"error":{"message":"no"}}'))
    with pytest.raises(OSError, match="reset"):
        resuming.broken(READ_ERROR, silent=False)
