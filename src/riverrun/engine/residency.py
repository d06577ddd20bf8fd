"""Which models are in memory: at most so many at once, and those who wait for a place get one in turn.

A model that gives way first finishes what it answers. It answers at least those who waited when it came up, so two busy
models take turns instead of chasing each other.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Tenant(Protocol):
    """One model, as seen from here."""

    @property
    def idle(self) -> bool:
        """Nobody uses it and nobody waits for it."""

    def enter(self) -> None:
        """It has a place: it may load now."""

    def give_way(self) -> None:
        """Others wait: admit nobody new, and call `Residency.left` when everything is out of memory."""


class Residency:
    """The places. Every `want` is followed by one `enter`, once there is a place."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._inside: list[Tenant] = []
        self._leaving: list[Tenant] = []
        self._wanting: deque[Tenant] = deque()

    def want(self, tenant: Tenant) -> None:
        """The model is needed in memory. It may be there already; one that is leaving comes in again later."""
        if tenant in self._wanting or (tenant in self._inside and tenant not in self._leaving):
            return
        self._wanting.append(tenant)
        self._settle()

    def left(self, tenant: Tenant) -> None:
        """The model is out of memory, for whatever reason."""
        for group in (self._inside, self._leaving):
            if tenant in group:
                group.remove(tenant)
        self._settle()

    def forget(self, tenant: Tenant) -> None:
        """Nobody needs the model any more, if it has no place yet."""
        if tenant in self._wanting:
            self._wanting.remove(tenant)

    def _settle(self) -> None:
        while self._wanting and len(self._inside) < self._places:
            tenant = next((each for each in self._wanting if each not in self._inside), None)
            if tenant is None:
                return
            self._wanting.remove(tenant)
            self._inside.append(tenant)
            tenant.enter()
        for _ in range(len(self._wanting) - len(self._leaving)):
            self._make_one_leave()

    def _make_one_leave(self) -> None:
        staying = [tenant for tenant in self._inside if tenant not in self._leaving]
        if not staying:
            return
        victim = next((tenant for tenant in staying if tenant.idle), staying[0])
        self._leaving.append(victim)
        victim.give_way()
