"""One upstream call of a branch: its deadlines, its first-content gate, and its seam where it continues another."""

from __future__ import annotations

from typing import Protocol

from riverrun.backends.contract import Backend
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.runs.watch import Watch
from riverrun.stream.ask import Ask
from riverrun.stream.continued import Seam
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Call, Cancelled, Ending, Refused
from riverrun.stream.gate import Gate
from riverrun.stream.tally import Tally
from riverrun.stream.whole_calls import WholeCalls


class Owner(Protocol):
    """The branch whose attempt it is."""

    def heard(self, attempt: Attempt, deltas: list[Delta]) -> None:
        """Deltas that may go to the client; the first ones say something."""

    def ended(self, attempt: Attempt, ending: Ending) -> None:
        """Exactly once, last; not for an attempt that was stopped."""

    def settled(self, attempt: Attempt, ending: Ending) -> None:
        """Exactly once, whoever ended it: `tally` has what it used."""


class Attempt:
    """A sink for one call. `target` is completed, and `dropped` known, once the call is on its way."""

    def __init__(
        self,
        owner: Owner,
        target: Target,
        ask: Ask,
        seam: Seam | None = None,
        *,
        number: int = 1,
        whole_calls: bool = False,
    ) -> None:
        self.target = target
        self.number = number
        self.ask = ask
        self.dropped: tuple[str, ...] = ()
        self.seam = seam
        self.spoke = False
        self.tally = Tally()
        self._owner = owner
        self._gate = Gate()
        self._calls = WholeCalls() if whole_calls else None
        self._watch = Watch(target.deadlines, self.fail)
        self._call: Call | None = None
        self._over = False

    def start(self, backend: Backend) -> None:
        self._call = backend.start(self.ask, self.target, self, self._started)
        if self._over:
            self._call.cancel()

    def stop(self) -> None:
        """It is not wanted any more; nothing is said of its ending."""
        self._settle(Cancelled())
        self._over = True
        self._watch.stop()
        if self._call is not None:
            self._call.cancel()

    def push(self, deltas: list[Delta]) -> None:
        if self._over:
            return
        self.tally.count(deltas)
        try:
            passed = self._gate.passed(deltas)
            self._watch.heard(content=self._gate.open)
            if passed and self._calls is not None:
                passed = self._calls.passed(passed)
            if passed and self.seam is not None:
                passed = self.seam.passed(passed)
        except Failure as failure:
            self.fail(failure)
            return
        if passed:
            self.spoke = True
            self._owner.heard(self, passed)

    def end(self, ending: Ending) -> None:
        if not self._over:
            self._settle(ending)
            self._over = True
            self._watch.stop()
            self._owner.ended(self, ending)

    def fail(self, failure: Failure) -> None:
        """What it said can't be used: the call is left at once."""
        self.end(Refused(failure))
        self.stop()

    def _settle(self, ending: Ending) -> None:
        if not self._over:
            self._owner.settled(self, ending)

    def _started(self, target: Target, dropped: tuple[str, ...]) -> None:
        self.target = target
        self.dropped = dropped
        if not self._over:
            self._watch.start()
