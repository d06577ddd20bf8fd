"""What to do next with one streamed answer: hand on, resume, give up. Fed with bytes and breaks; does no I/O itself.

The contract: `GET /v1/chat/completions/{id}` with `Last-Event-ID: N` goes on after event N. 204 says that there is
nothing more, 404 and 410 that the answer is gone; what a server answers while it restarts is worth another attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from riverrun.clients.events import Events, Malformed
from riverrun.clients.patience import Patience, Waiting

COME_AGAIN = frozenset({408, 425, 429, 502, 503, 504})
"""Statuses of a server (or of a proxy before it) that is busy or away for a while."""

LONGEST_DELAY = 9
"""Digits of a `retry-after` that is read."""

DISAPPEARED = "the stream ended before [DONE], and the server could not go on with it"


class Resuming:
    """The state of one answer. `read_limit` is the user's own read timeout in seconds, which this never stretches."""

    def __init__(self, patience: Patience, read_limit: float | None, random: Random) -> None:
        user = float("inf") if read_limit is None else read_limit
        self.silent_after = min(user, patience.silent_after)
        self._silence_is_ours = patience.silent_after < user
        self._waiting = Waiting(patience, min(patience.give_up_after, user), random)
        self._events = Events()

    def feed(self, block: bytes, now: float) -> bytes:
        """What of the stream can be handed on, whole events only. Raises Malformed, also when the patience is at its
        end because bytes come but nothing new."""
        before = self._events.last
        ready = self._events.feed(block)
        if self._events.last > before:
            self._waiting.progress()
        elif ready:
            self._waiting.alive()
        elif not self.asked_back and self._waiting.barren(now):
            raise Malformed(f"after event {before} bytes came for long, but no new event; ask again")
        return ready

    @property
    def asked_back(self) -> bool:
        """The server has said that this connection brings nothing more, and another one will."""
        return self._events.end == "come back"

    def broken(self, error: Exception | None, silent: bool) -> bool:
        """After the connection's end, clean (None) or not: True to resume, False if all is there. Raises `error`
        where it is the stream's own ending, or the user's own read timeout (`silent`)."""
        if self._events.end == "done":
            return False
        mine = self._events.end == "failed" or not self._events.numbered
        if error is not None and (mine or (silent and not self._silence_is_ours)):
            raise error
        return not mine

    def lost(self, now: float) -> float | None:
        """Seconds to wait before the next attempt to resume, or None: give up."""
        self._events.cut()
        return self._waiting.pause(now)

    def answered(self, status: int, headers: Mapping[str, str], now: float) -> float | None:
        """The same after an answer to the attempt; 0 where it goes on with the stream."""
        if status == 200 and headers.get("content-type", "").startswith("text/event-stream"):
            return 0.0
        return self._waiting.pause(now, retry_after(headers)) if status in COME_AGAIN else None

    @property
    def cursor(self) -> dict[str, str]:
        """The header that says where to go on; without one the stream is told from its start."""
        return {"last-event-id": str(self._events.last)} if self._events.last else {}

    @property
    def parting(self) -> bytes:
        """What the server said when it sent us away: the last word, if nobody goes on."""
        return self._events.parting


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, 0 without the header or with another text (as a date, which a client's clock may not share)."""
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_DELAY else 0.0
