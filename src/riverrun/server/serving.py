"""What the connections of one server have in common: who answers, what each may cost, and what the server must end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

from riverrun.server.census import Census
from riverrun.server.exchange import Exchange
from riverrun.server.limits import HostLimits
from riverrun.server.stream import Stream


class Ends(Protocol):
    """A connection, as the server that stops sees it."""

    @property
    def unwritten(self) -> int:
        """Bytes that the kernel has not taken yet."""

    def shutdown(self) -> None: ...


class Serving:
    """What all connections of one server share. `answer` is the application; `rng` draws the ids of refused requests.

    `defaults` are the lines that stand in every answer's head.
    """

    def __init__(
        self, answer: Callable[[Exchange], Awaitable[None]], limits: HostLimits, rng: random.Random | None = None
    ) -> None:
        self.answer = answer
        self.limits = limits
        self.census = Census(limits)
        self.rng = rng or random.SystemRandom()
        self.connections: set[Ends] = set()
        self.tasks: dict[Stream, asyncio.Task[None]] = {}
        """The answers under way."""
        self.defaults = b""

    @property
    def sending(self) -> bool:
        """Whether something that was answered has not been taken yet."""
        return any(connection.unwritten for connection in self.connections)
