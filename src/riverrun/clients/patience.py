"""How long a client keeps trying, and how it spaces its attempts. Time and randomness are passed in."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Patience:
    """All in seconds.

    `give_up_after` counts from the first break since something last came through, also while a server only repeats
    events that were seen. `silent_after` is the silence on an
    open stream that counts as a break: riverrun says something every 10 s, so three missed heartbeats are a dead
    connection. `first_contact` takes the place of `give_up_after` while nothing is known about the server yet, so that
    a mistyped address fails soon.
    """

    give_up_after: float = 60.0
    first_pause: float = 0.1
    longest_pause: float = 5.0
    silent_after: float = 30.0
    first_contact: float = 5.0


class Waiting:
    """The pauses between the attempts of one request."""

    def __init__(self, patience: Patience, limit: float, random: Random) -> None:
        self._patience = patience
        self._limit = limit
        self._random = random
        self._since: float | None = None
        self._barren_since: float | None = None
        self._attempts = 0

    def pause(self, now: float, at_least: float = 0.0) -> float | None:
        """Seconds until the next attempt, or None when the patience is at its end: exponential, jittered by half."""
        if self._since is None:
            self._since = now
        left = self._since + self._limit - now
        if left <= 0:
            return None
        longest = min(self._patience.first_pause * 2.0 ** min(self._attempts, 32), self._patience.longest_pause)
        self._attempts += 1
        return min(max(longest * self._random.uniform(0.5, 1.0), at_least), left)

    def barren(self, now: float) -> bool:
        """Bytes came that bring nothing new: whether the patience is at its end. It counts from the first break, or
        from the first such bytes; never by a user's read timeout, which is about silence."""
        if self._barren_since is None:
            self._barren_since = now if self._since is None else self._since
        return now - self._barren_since >= self._patience.give_up_after

    def alive(self) -> None:
        """Something came through: the patience is whole again."""
        self._since = self._barren_since = None

    def progress(self) -> None:
        """The answer went on: the next break is a first one."""
        self.alive()
        self._attempts = 0
