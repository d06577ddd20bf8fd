"""What a run hears of its tape: readers come and go, somebody cancels it, or it can't be written any more."""

from __future__ import annotations

from collections.abc import Callable

from riverrun.runs.presence import Presence
from riverrun.runs.retries import Retries
from riverrun.runs.run import Run
from riverrun.tapes.contract import Signal


class Ear:
    """Hears a tape's signals for its run, which may begin later than its tape."""

    __slots__ = ("_early", "_lost", "_presence", "_retries", "_run")

    def __init__(self) -> None:
        self._run: Run | None = None
        self._early: tuple[Signal, ...] = ()
        self._lost = False  # its first readers have left

    def hears(self, run: Run, presence: Presence, retries: Retries | None) -> None:
        """From now on; and what was said before it."""
        self._run, self._presence, self._retries = run, presence, retries
        early, self._early = self._early, ()
        for signal in early:
            HEARD[signal](self)

    def __call__(self, signal: Signal) -> None:
        if self._run is None:
            self._early += (signal,)
        else:
            HEARD[signal](self)

    def over(self) -> None:
        """The run has ended."""
        self._presence.over()

    def _joined(self) -> None:
        self._presence.joined()
        if self._lost and self._retries is not None and self._run is not None:
            self._retries.returned(self._run.tape.head)

    def _left(self) -> None:
        if self._retries is not None and self._run is not None and not self._lost:
            self._lost = True  # a retry may join once
            self._retries.left(self._run.tape.head)
        self._presence.left()

    def _cancel(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def _broken(self) -> None:
        if self._run is not None and self._run.tape.broken is not None:
            self._run.fail(self._run.tape.broken)


HEARD: dict[Signal, Callable[[Ear], None]] = {
    "joined": Ear._joined,
    "left": Ear._left,
    "cancel": Ear._cancel,
    "broken": Ear._broken,
}
