"""The targets as this process knows them: how to reach each one, and whether it is worth asking now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from riverrun.backends.contract import Backend
from riverrun.failures import Failure
from riverrun.routing.attempts import policy
from riverrun.routing.breaker import Breaker, State
from riverrun.routing.target import Target


class Upstreams:
    """`backends` by the row of a target; the one under "" is for all others. One breaker for each target's name."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self._breakers: dict[str, Breaker] = {}

    def backend(self, target: Target) -> Backend:
        return self._backends.get(target.row) or self._backends[""]

    def admitted(self, targets: list[Target]) -> set[str]:
        """The names of the targets whose breakers let a request through."""
        now = asyncio.get_running_loop().time()
        return {target.name for target in targets if self._breaker(target).admits(now)}

    def judged(self, target: Target, failure: Failure | None) -> None:
        """A target said something (None), or failed. A client's own error is a sign of health."""
        if failure is None or not policy(failure).health:
            self._breaker(target).succeeded()
        else:
            self._breaker(target).failed(asyncio.get_running_loop().time())

    def state(self, target: Target) -> State:
        return self._breaker(target).state(asyncio.get_running_loop().time())

    def _breaker(self, target: Target) -> Breaker:
        return self._breakers.setdefault(target.name, Breaker())
