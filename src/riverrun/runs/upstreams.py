"""The targets as this process knows them: how to reach each one, and whether it is worth asking now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from riverrun.backends.contract import Backend
from riverrun.failures import Failure
from riverrun.routing.attempts import policy
from riverrun.routing.breaker import Breaker, State
from riverrun.routing.target import Target

Known = tuple[str, str, str | None]

MOST_BREAKERS = 4096
"""Targets whose failures are remembered; beyond it the oldest is forgotten."""


WELL = Breaker()
"""That of every target that has not failed since it last answered; it is never told anything."""


class Upstreams:
    """`backends` by the row of a target; the one under "" is for all others.

    One breaker for each target: the same name, address and key, whatever configuration it comes from. A target that
    is well needs none, so that names that clients make up cost nothing.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self._breakers: dict[Known, Breaker] = {}
        self._prefill_refused: dict[Known, None] = {}

    def backend(self, target: Target) -> Backend:
        return self._backends.get(target.row) or self._backends[""]

    def admitted(self, targets: list[Target]) -> set[str]:
        """The names of the targets whose breakers let a request through."""
        if not self._breakers:  # nearly always: nothing has failed lately
            return {target.name for target in targets}
        now = asyncio.get_running_loop().time()
        return {target.name for target in targets if self._breakers.get(self._known(target), WELL).admits(now)}

    def asked(self, target: Target) -> None:
        """A request goes to this target."""
        breaker = self._breakers.get(self._known(target)) if self._breakers else None
        if breaker is not None:
            breaker.asked(asyncio.get_running_loop().time())

    def judged(self, target: Target, failure: Failure | None) -> None:
        """A target said something (None), or failed. A client's own error is a sign of health."""
        if failure is None or target.watched or not policy(failure).health:
            if self._breakers:
                self._breakers.pop(self._known(target), None)
        else:
            self._breaker(target).failed(asyncio.get_running_loop().time())

    def takes_prefill(self, target: Target) -> bool:
        """Whether it has never refused to go on with an assistant's words; what its row says is its row's business."""
        return self._known(target) not in self._prefill_refused

    def prefill_refused(self, target: Target) -> None:
        """It is never asked that again."""
        if len(self._prefill_refused) >= MOST_BREAKERS:
            del self._prefill_refused[next(iter(self._prefill_refused))]
        self._prefill_refused[self._known(target)] = None

    def state(self, target: Target) -> State:
        return self._breakers.get(self._known(target), WELL).state(asyncio.get_running_loop().time())

    def troubled(self) -> dict[str, State]:
        """The targets that have failed since they last answered, by name."""
        now = asyncio.get_running_loop().time()
        return {known[0]: breaker.state(now) for known, breaker in self._breakers.items()}

    def _breaker(self, target: Target) -> Breaker:
        known = self._known(target)
        if known not in self._breakers and len(self._breakers) >= MOST_BREAKERS:
            del self._breakers[next(iter(self._breakers))]
        return self._breakers.setdefault(known, Breaker())

    def _known(self, target: Target) -> Known:
        """A backend of its own finds its targets by name: their address and key change with each start."""
        return (target.name, "", None) if target.row in self._backends else (target.name, target.base_url, target.key)
