"""What to do when a target fails: ask it again, ask the next one, or tell the client. Pure; the failures table as data.

The columns of the table are docs/architecture.md's: whose fault it is was decided when the failure was classified.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.routing.model import Fallbacks
from riverrun.routing.target import Target


class Policy(NamedTuple):
    """`again`: the same target may be asked again. `onward`: the next one may. `health`: it counts against it."""

    again: bool
    onward: bool
    health: bool


CLIENTS = Policy(again=False, onward=False, health=False)
POLICIES: dict[Cause, Policy] = {
    Cause.CONTEXT_TOO_LONG: Policy(again=False, onward=True, health=False),  # to larger windows only
    Cause.UPSTREAM_AUTH: Policy(again=False, onward=True, health=True),
    Cause.UPSTREAM_BUSY: Policy(again=True, onward=True, health=True),
    Cause.UPSTREAM_UNREACHABLE: Policy(again=True, onward=True, health=True),
    Cause.UPSTREAM_ERROR: Policy(again=True, onward=True, health=True),
    Cause.UPSTREAM_INTERRUPTED: Policy(again=True, onward=True, health=True),
    Cause.UPSTREAM_MALFORMED: Policy(again=True, onward=True, health=True),
    Cause.UPSTREAM_TIMEOUT: Policy(again=False, onward=True, health=True),
    Cause.OVERLOADED: Policy(again=False, onward=True, health=False),
}
"""Causes that are not here are the client's, or ours: nobody else would answer otherwise."""

NO_FALLBACKS: Fallbacks = {}

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0


def policy(failure: Failure) -> Policy:
    return POLICIES.get(failure.cause, CLIENTS)


class Again(msgspec.Struct, frozen=True):
    """Ask this target, after a pause in seconds."""

    target: Target
    pause: float = 0.0


class Attempts:
    """The attempts of one branch: who was asked how often, and who is next. `targets` in order of preference.

    A failure before content whose cause has `fallbacks` puts those in the targets' place; each is asked once then.
    """

    __slots__ = (
        "_asked",
        "_beside",
        "_fallbacks",
        "_fallen",
        "_larger_than",
        "_over",
        "_random",
        "_retries",
        "targets",
    )

    def __init__(self, targets: list[Target], retries: int, random: Random, fallbacks: Fallbacks | None = None) -> None:
        self.targets = targets
        self._retries = retries
        self._random = random
        self._fallbacks: Fallbacks = fallbacks or NO_FALLBACKS
        self._fallen = False  # the targets are fallbacks now
        self._asked: dict[str, int] = {}
        self._over: frozenset[str] = frozenset()  # not to be asked again
        self._larger_than: int | None = None  # tokens of context that were too few, 0 where nobody knows how many
        self._beside: tuple[Cause, ...] = ()  # of failures beside which another target still ran

    def copy(self) -> Attempts:
        """For a part of the branch that goes on by itself."""
        copied = Attempts(self.targets, self._retries, self._random, self._fallbacks)
        copied._asked, copied._over = dict(self._asked), self._over
        copied._larger_than, copied._fallen, copied._beside = self._larger_than, self._fallen, self._beside
        return copied

    def everyone(self) -> list[Target]:
        """All who may come to be asked: the targets and the fallbacks."""
        return [*self.targets, *(target for targets in self._fallbacks.values() for target in targets)]

    def first(self, admitted: set[str]) -> Again | None:
        """Who is asked first. `admitted` names the targets that are worth asking.

        A caller never waits for a target that is known to be down; but where all are, the first one is tried.
        """
        left = self._left()
        for target in left:
            if target.name in admitted:
                return self._ask(target, 0.0)
        return self._ask(left[0], 0.0) if left else None

    def other(self, than: Target, admitted: set[str]) -> Target | None:
        """Whom a hedge asks beside a target that is slow."""
        ready = (each for each in self._left() if each.name in admitted and each.name != than.name)
        other = next(ready, None)
        return self._ask(other, 0.0).target if other is not None else None

    def forgive(self, target: Target) -> None:
        """Its last attempt could not have worked, by no fault of its own; it does not count."""
        self._asked[target.name] = self._asked.get(target.name, 1) - 1

    def note(self, target: Target, failure: Failure, *, spoke: bool = False, seen: bool = False) -> None:
        """Remembers what this failure of `target` rules out. One that `spoke` and fell silent may be asked again."""
        again = policy(failure).again or (spoke and failure.cause is Cause.UPSTREAM_TIMEOUT)
        retries = 0 if self._fallen and not seen else self._retries
        if not again or self._asked.get(target.name, 0) > retries:
            self._over |= {target.name}
        if failure.cause is Cause.CONTEXT_TOO_LONG:
            self._larger_than = max(self._larger_than or 0, target.context or 0)

    def beside(self, target: Target, failure: Failure) -> None:
        """This failure of `target` came while another one still runs: its fallbacks are for when that fails too."""
        self.note(target, failure)
        self._beside += (failure.cause,)

    def after(
        self,
        target: Target,
        failure: Failure,
        admitted: set[str],
        left: float | None,
        *,
        spoke: bool = False,
        seen: bool = False,
    ) -> Again | None:
        """Who is asked after this failure of `target`; None: tell the client. `left`: seconds until its deadline.

        A target that says when to come back is waited for if that fits the deadline and nobody else is there.
        `seen`: the client has seen content, so that the answer has to be gone on with, and no cause has fallbacks.
        """
        self.note(target, failure, spoke=spoke, seen=seen)
        fell = not seen and self._fall(failure.cause)
        while not (seen or fell) and self._beside:
            first, *rest = self._beside
            self._beside = tuple(rest)
            fell = self._fall(first)
        if not (fell or policy(failure).onward):
            return None
        pause = self._pause(target, failure)
        others = [each for each in self._left() if each.name in admitted and each.name != target.name]
        own = next((each for each in self._left() if each.name in admitted and each.name == target.name), None)
        busy = failure.cause is Cause.UPSTREAM_BUSY
        if own is not None and not (busy and others) and (left is None or pause < left):
            return self._ask(own, pause)
        return self._ask(others[0], 0.0) if others else None

    def _fall(self, cause: Cause) -> bool:
        """Puts the fallbacks of this cause that were never asked in the targets' place, if there are any."""
        fresh = [target for target in self._fallbacks.get(cause, ()) if not self._asked.get(target.name)]
        if fresh:
            self.targets, self._fallen = fresh, True
            if cause is Cause.CONTEXT_TOO_LONG:
                self._larger_than = None  # the operator's word for it that they hold more
        return bool(fresh)

    def _left(self) -> list[Target]:
        """Targets that may still be asked. An unknown window is never taken to be a larger one."""
        if not self._over and self._larger_than is None:
            return self.targets
        return [
            target
            for target in self.targets
            if target.name not in self._over
            and (self._larger_than is None or (target.context or 0) > self._larger_than)
        ]

    def _ask(self, target: Target, pause: float) -> Again:
        self._asked[target.name] = self._asked.get(target.name, 0) + 1
        return Again(target, pause)

    def _pause(self, target: Target, failure: Failure) -> float:
        """Full jitter, or what the target itself asked for."""
        if failure.retry_after is not None:
            return failure.retry_after
        times = self._asked.get(target.name, 1) - 1
        return self._random.uniform(0.0, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**times))
