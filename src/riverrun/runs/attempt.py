"""One upstream call of a branch: its deadlines, its first-content gate, and its seam where it continues another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from riverrun.backends.contract import Backend
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.runs.watch import Watch
from riverrun.stream.ask import Ask
from riverrun.stream.continued import Seam
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Call, Ending, Refused
from riverrun.stream.gate import Gate
from riverrun.stream.tally import Tally
from riverrun.stream.whole_calls import WholeCalls


class Owner(Protocol):
    """The branch whose attempt it is."""

    def heard(self, attempt: Attempt, deltas: list[Delta]) -> None:
        """Deltas that may go to the client; the first ones say something. Raises Failure where they can't be used.

        May set `attempt.hearer` to have it told what follows in its place.
        """

    def ended(self, attempt: Attempt, ending: Ending) -> None:
        """Last, once: it is over by itself. `tally` has what it used."""

    def stopped(self, attempt: Attempt) -> None:
        """In place of `ended`: it was over when its owner stopped it. `tally` has what it used until then."""


class Attempt:
    """A sink for one call. `target` is completed, and `dropped` known, once the call is on its way.

    `source` is what its usage counts for. `spoke_at`: when it last said something, by the loop's clock; None: never.
    """

    __slots__ = (
        "_call",
        "_calls",
        "_gate",
        "_loop",
        "_over",
        "_owner",
        "_steady",
        "_watch",
        "ask",
        "dropped",
        "hearer",
        "number",
        "seam",
        "source",
        "spoke_at",
        "tally",
        "target",
    )

    def __init__(
        self,
        owner: Owner,
        target: Target,
        ask: Ask,
        seam: Seam | None = None,
        *,
        number: int = 1,
        source: tuple[int, int] = (0, 0),
        whole_calls: bool = False,
    ) -> None:
        self.target = target
        self.number = number
        self.source = source
        self.ask = ask
        self.dropped: tuple[str, ...] = ()
        self.seam = seam
        self.spoke_at: float | None = None
        self.tally = Tally()
        self.hearer: Callable[[Attempt, list[Delta]], None] = owner.heard
        self._owner = owner
        self._gate = Gate()
        self._calls = WholeCalls() if whole_calls else None
        self._steady = False  # whatever comes now passes
        self._watch = Watch(target.deadlines, self.fail)
        self._loop = asyncio.get_running_loop()
        self._call: Call | None = None
        self._over = False

    def start(self, backend: Backend) -> None:
        call = backend.start(self.ask, self.target, self, self._started)
        if self._over:
            call.cancel()
        else:
            self._call = call

    def stop(self) -> None:
        """It is not wanted any more; nothing is said of its ending."""
        if not self._over:
            self._owner.stopped(self)
        call = self._call
        self._let_go()
        if call is not None:
            call.cancel()

    def push(self, deltas: list[Delta]) -> None:
        """The steady path of a stream, from the socket's read to the run: it is short on purpose."""
        if self._over:
            return
        now = self._watch.last = self._loop.time()
        self.tally.count(deltas)
        try:
            passed = deltas if self._steady else self._passed(deltas)
            if passed:
                self.spoke_at = now
                self.hearer(self, passed)
        except Failure as failure:
            self.fail(failure)
        except Exception:  # the client must not wait for what nobody drives any more
            self.fail(ours())
            raise

    def end(self, ending: Ending) -> None:
        if not self._over:
            self._let_go()
            self._owner.ended(self, ending)

    def fail(self, failure: Failure) -> None:
        """What it said can't be used: the call is left at once."""
        call = self._call
        self.end(Refused(failure))
        if call is not None:
            call.cancel()

    def _passed(self, deltas: list[Delta]) -> list[Delta]:
        """What may go on now."""
        passed = self._gate.passed(deltas)
        if not passed:
            return passed
        self._watch.heard()
        if self._calls is not None:
            passed = self._calls.passed(passed)
        if passed and self.seam is not None:
            passed = self.seam.passed(passed)
        self._steady = self._calls is None and (self.seam is None or self.seam.closed)
        return passed

    def _let_go(self) -> None:
        """It is over. Nobody who is done with it is held by it: no collector has to find them."""
        self._over = True
        self._watch.stop()
        self._call = None
        self.hearer = _nobody

    def _started(self, target: Target, dropped: tuple[str, ...]) -> None:
        self.target = target
        self.dropped = dropped
        if not self._over:
            self._watch.start()


def ours() -> Failure:
    """What the client hears of a fault of ours; its traceback is in the log."""
    return Failure(Cause.INTERNAL, "riverrun failed to answer this; the fault is ours.")


def _nobody(attempt: Attempt, deltas: list[Delta]) -> None:
    """Hears nothing."""
