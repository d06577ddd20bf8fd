"""A branch: choices of a run that are answered together, by one target after another until one has answered them.

What is tried next is routing's decision; here are the attempts themselves and the pauses between them. An attempt that
fails before it said anything is replaced. One that fails later is continued, where a target can: it says the same again
(*verify*), or it goes on with the words so far (*prefill*). Where none can, the client is told the first failure, with
every attempt.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from riverrun.backends.contract import Backend
from riverrun.failures import Attempt as Tried
from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import Again, Attempts, policy
from riverrun.routing.model import Model
from riverrun.routing.target import Target
from riverrun.runs.attempt import Attempt, ours
from riverrun.stream.ask import Ask
from riverrun.stream.continued import Partial, Seam, partial, prefilled
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused

PATIENCE = 30.0
"""Seconds that a client waits in silence for a target that has no first-token deadline."""


PARTS = 1000
"""Added to a choice's number for the index of its part of a split branch: branches themselves have at most 128."""


class Upstreams(Protocol):
    """What a run needs of the process it runs in: the way to each target, and how the targets are."""

    def backend(self, target: Target) -> Backend: ...

    def admitted(self, targets: list[Target]) -> set[str]:
        """The names of the targets that are not known to be down."""

    def asked(self, target: Target) -> None: ...

    def judged(self, target: Target, failure: Failure | None) -> None: ...

    def takes_prefill(self, target: Target) -> bool:
        """False for one that has refused to go on with an assistant's words before."""

    def prefill_refused(self, target: Target) -> None: ...


class Owner(Protocol):
    """The run whose branch it is."""

    upstreams: Upstreams

    def heard(self, attempt: Attempt, deltas: list[Delta]) -> None:
        """Raises Failure where they break the grammar."""

    def asked(self, target: Target) -> int:
        """A request goes to this target now; returns its number in the run."""

    def settled(self, attempt: Attempt, ending: Ending) -> None:
        """A request is over, and its tally is whole."""

    def judged(self, target: Target, failure: Failure | None) -> None:
        """How a target did: None when it said something."""

    def payloads(self) -> list[bytes]:
        """What the client has seen."""

    def unfinished(self, choices: tuple[int, ...]) -> tuple[int, ...]: ...

    def spent(self, tokens: int) -> None:
        """Tokens of an attempt that was cut and is continued, whose upstream never counted them."""

    def ended(self, branch: Branch, ending: Ending) -> None: ...

    def split(self, branch: Branch, parts: list[Branch]) -> None:
        """These take the branch's place."""


class Branch:
    """`ask` names the choices; `attempts` knows who is asked next."""

    __slots__ = (
        "_ask",
        "_attempts",
        "_began_with",
        "_first_failure",
        "_live",
        "_loop",
        "_model",
        "_no_repeating",
        "_owner",
        "_silent_since",
        "_spent",
        "_timers",
        "_tried",
        "ending",
        "index",
        "leg",
    )

    def __init__(self, owner: Owner, index: int, ask: Ask, model: Model, attempts: Attempts) -> None:
        self.index = index
        self.leg = 0
        """Counts the attempts whose text was sent, for the usage."""
        self.ending: Ending | None = None
        self._owner = owner
        self._ask = ask
        self._model = model
        self._attempts = attempts
        self._no_repeating = False
        self._spent = 0  # deltas of broken attempts that the usage knows of
        self._live: list[Attempt] = []
        self._tried: list[Tried] = []
        self._first_failure: Failure | None = None
        self._began_with: Target | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._loop = asyncio.get_running_loop()
        self._silent_since = self._loop.time()

    def start(self) -> None:
        """Asks the first target."""
        targets = self._attempts.targets
        self._go(self._attempts.first(self._owner.upstreams.admitted(targets)), self._ask, None)
        if self._model.hedge_after is not None and len(targets) > 1:
            self._timers.append(self._loop.call_later(self._model.hedge_after, self._hedge))

    def take_over(self, began_with: str, failure: Failure) -> None:
        """Goes on with what another owner's branch began, whose attempt at this target ended with it."""
        self._began_with = next((each for each in self._attempts.targets if each.name == began_with), None)
        self._tried.append(Tried(began_with, "owner_died"))
        self._first_failure = failure
        if self._began_with is None:
            self._end(Refused(self._told()))
        elif len(self._ask.choices) > 1:
            self._split(failure)
        else:
            self._go_on(self._began_with, failure, spoke=True)

    def stop(self) -> None:
        """Nothing of it is wanted any more."""
        for timer in self._timers:
            timer.cancel()
        for attempt in self._live:
            attempt.stop()
        self._timers.clear()
        self._live.clear()

    def heard(self, attempt: Attempt, deltas: list[Delta]) -> None:
        """The first words of an attempt. What follows them goes straight to the run."""
        if self._began_with is None:
            self._began_with = attempt.target
            self._owner.judged(attempt.target, None)
        if len(self._live) > 1:
            self._won(attempt)
        attempt.hearer = self._owner.heard
        attempt.hearer(attempt, deltas)

    def stopped(self, attempt: Attempt) -> None:
        self._owner.settled(attempt, Cancelled())

    def ended(self, attempt: Attempt, ending: Ending) -> None:
        self._owner.settled(attempt, ending)
        if attempt in self._live:
            self._live.remove(attempt)
        if attempt.spoke_at is not None:
            self._silent_since = max(self._silent_since, attempt.spoke_at)
        if type(ending) is not Refused:
            self._end(ending)
        elif self._began_with is not None and not self._owner.unfinished(self._ask.choices):
            self._end(Finished())  # every choice has its finish_reason: what the upstream does then is no matter
        else:
            try:
                self._failed(attempt, ending.failure)
            except Exception:
                self._give_up()
                raise

    def _failed(self, attempt: Attempt, failure: Failure) -> None:
        self._owner.judged(attempt.target, failure)
        self._tried.append(Tried(attempt.target.name, failure.cause.name.lower()))
        self._first_failure = self._first_failure or failure
        if self._live:  # a hedge still runs
            self._attempts.beside(attempt.target, failure)
            return
        if self._began_with is None:
            again = self._attempts.after(attempt.target, failure, self._admitted(), self._patience(attempt.target))
            self._go(again, self._ask, None)
        elif len(self._ask.choices) > 1:
            self._split(failure, attempt)
        else:
            self._continue(attempt, failure)

    def _continue(self, attempt: Attempt, failure: Failure) -> None:
        """Goes on after what the client has seen, for an attempt that broke off."""
        spoke = attempt.spoke_at is not None
        if attempt.ask.prefill and not spoke and not policy(failure).onward:
            self._owner.upstreams.prefill_refused(attempt.target)
            failure = self._first_failure or failure  # the refusal is of how we asked, and no client's fault
        if attempt.seam is not None and not attempt.seam.repeated and not attempt.ask.prefill:
            self._no_repeating = True  # it did not come to where the first answer broke: the next rung may
            self._attempts.forgive(attempt.target)
        self._go_on(attempt.target, failure, spoke=spoke)

    def _go_on(self, target: Target, failure: Failure, *, spoke: bool) -> None:
        """The next rung after this target broke off, or the end."""
        so_far = partial(self._owner.payloads(), self._ask.choices[0])
        able = {target.name for target in self._attempts.targets if self._way(target, so_far)}
        able = (able & self._admitted()) or able  # one that is known to be down is better than a broken answer
        left = self._patience(target)
        again = self._attempts.after(target, failure, able, left, spoke=spoke, seen=True)
        if again is None:
            self._go(None, self._ask, None)
            return
        if not so_far.visible:
            self._go(again, self._ask, Seam(so_far, anew=True))
        elif self._way(again.target, so_far) == "verify":
            self._go(again, self._ask, Seam(so_far))
        else:
            self._owner.spent(so_far.deltas - self._spent)
            self._spent = so_far.deltas
            self.leg += 1
            echo = Seam(Partial(so_far.text)) if again.target.echoes_prefill else None
            self._go(again, prefilled(self._ask, so_far, so_far.deltas), echo)

    def _way(self, target: Target, so_far: Partial) -> str | None:
        """How a target can go on: what architecture.md calls the rungs. A deterministic one repeats only itself."""
        assert self._began_with is not None
        own = target.name == self._began_with.name
        if not so_far.visible:
            return "anew"
        if self._model.continues == "never":
            return None
        if own and target.deterministic and not self._no_repeating:
            return "verify"
        alike = self._model.continues == "any" or target.label == self._began_with.label
        able = alike and self._owner.upstreams.takes_prefill(target) and _can_prefill(target, self._ask, so_far)
        return "prefill" if able else None

    def _split(self, failure: Failure, attempt: Attempt | None = None) -> None:
        """A call for several choices broke: each one that is not complete goes on by itself, and this branch ends."""
        self.stop()
        parts = []
        for choice in self._owner.unfinished(self._ask.choices):
            ask = msgspec.structs.replace(self._ask, choices=(choice,))
            part = Branch(self._owner, PARTS + choice, ask, self._model, self._attempts.copy())
            part._began_with = self._began_with
            part._tried, part._first_failure = list(self._tried), self._first_failure
            parts.append(part)
        self._owner.split(self, parts)
        for part in parts:
            if not any(isinstance(each.ending, Refused) for each in parts):  # one that can't go on ends them all
                part._part(failure, attempt)

    def _part(self, failure: Failure, attempt: Attempt | None) -> None:
        if attempt is not None:
            self._continue(attempt, failure)
        elif self._began_with is not None:
            self._go_on(self._began_with, failure, spoke=True)

    def _go(self, again: Again | None, ask: Ask, seam: Seam | None) -> None:
        if again is None:
            self._end(Refused(self._told()))
        elif again.pause > 0:
            self._timers.append(self._loop.call_later(again.pause, self._launch, again.target, ask, seam))
        else:
            self._launch(again.target, ask, seam)

    def _launch(self, target: Target, ask: Ask, seam: Seam | None) -> None:
        number = self._owner.asked(target)
        source = (self.index, self.leg)
        attempt = Attempt(self, target, ask, seam, number=number, source=source, whole_calls=self._model.whole_calls)
        self._live.append(attempt)
        try:
            attempt.start(self._owner.upstreams.backend(target))
        except Exception:
            self._give_up()
            raise

    def _hedge(self) -> None:
        """The first target is slow to say anything: the next one is asked as well, and the first word wins."""
        if self._began_with is None and len(self._live) == 1:
            other = self._attempts.other(self._live[0].target, self._admitted())
            if other is not None:
                self._launch(other, self._ask, None)

    def _won(self, winner: Attempt) -> None:
        for attempt in self._live:
            if attempt is not winner:
                self._tried.append(Tried(attempt.target.name, "hedge_lost"))
                attempt.stop()
        self._live = [winner]

    def _patience(self, target: Target) -> float:
        """Seconds for which the client may still be kept waiting: what its target has for a first token, at most."""
        return (target.deadlines.first_token or PATIENCE) - (self._loop.time() - self._silent_since)

    def _admitted(self) -> set[str]:
        return self._owner.upstreams.admitted(self._attempts.everyone())

    def _told(self) -> Failure:
        """The original failure, with every attempt."""
        failure = self._first_failure
        if failure is None:
            return Failure(Cause.INTERNAL, "The model has no target that could be asked.")
        if failure.cause.value.fault == "upstream":
            failure.attempts = tuple(self._tried)
        return failure

    def _give_up(self) -> None:
        """A fault of ours must not leave the client waiting for a branch that nothing drives any more."""
        self._end(Refused(ours()))

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            if self._live or self._timers:
                self.stop()
            self._owner.ended(self, ending)


def _can_prefill(target: Target, ask: Ask, so_far: Partial) -> bool:
    """Words can be gone on with; calls, refusals and probabilities cannot, and JSON only where the target keeps it."""
    request = ask.chat.request
    if not target.prefill or so_far.calls or so_far.refusal or request.logprobs or not so_far.text:
        return False
    forced = request.tool_choice not in (None, "none", "auto")
    shaped = ask.chat.body.get("response_format") not in (None, {"type": "text"})
    return target.prefill_structured or not (forced or shaped)
