"""A worker's side of the engine: its requests wait for slots that the parent lends, and then speak to the engine.

Only the right to a slot passes through the parent; the tokens do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count

from riverrun.engine.host import Status
from riverrun.engine.settings import Ready
from riverrun.engine.slots import Permit
from riverrun.failures import Cause, Failure
from riverrun.server.workers.messages import Denied, Doubt, GiveBack, Lent, Message, Want

Granted = tuple[Permit, Ready]


class Desk:
    """Where slots are borrowed. `tell` reaches the parent; what it says is given to `heard`."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Granted]] = {}
        self._closed = False

    async def borrow(self, model: str, caller: str, ask: str) -> Granted:
        """A slot, and what the model can do. Raises the failure with which the parent denies it."""
        if self._closed:
            raise _gone()
        loan = next(self._numbers)
        asked: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()
        self._asked[loan] = asked
        self._tell(Want(loan, model, caller, ask))
        try:
            return await asked
        except asyncio.CancelledError:
            self._give_back(loan, cut=False)  # also where it was lent in this very moment
            raise
        finally:
            del self._asked[loan]

    def doubt(self, model: str) -> None:
        self._tell(Doubt(model))

    def heard(self, message: Lent | Denied) -> None:
        asked = self._asked.get(message.loan)
        if asked is None or asked.done():
            return  # it was given back before
        if isinstance(message, Lent):
            asked.set_result((Permit(partial(self._give_back, message.loan)), message.ready))
        else:
            asked.set_exception(message.failure.failure())

    def close(self) -> None:
        """The parent is gone, and the engine with it."""
        self._closed = True
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(_gone())

    def _give_back(self, loan: int, cut: bool) -> None:
        self._tell(GiveBack(loan, cut))


class BorrowedHost:
    """One local model, run by the parent."""

    def __init__(self, name: str, desk: Desk) -> None:
        self.status = Status(name, "stopped", None, 0, 0, 0, None)
        """As the parent told it last."""
        self._name = name
        self._desk = desk

    async def enter_queue(self, caller: str, ask: str) -> Granted:
        return await self._desk.borrow(self._name, caller, ask)

    def doubt(self) -> None:
        self._desk.doubt(self._name)

    async def close(self) -> None:
        """The engine belongs to the parent."""


def borrowed(names: Iterable[str], desk: Desk) -> dict[str, BorrowedHost]:
    return {name: BorrowedHost(name, desk) for name in names}


def _gone() -> Failure:
    return Failure(Cause.OVERLOADED, "This server is shutting down; ask again in a moment.", retry_after=1.0)
