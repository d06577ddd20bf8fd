"""The parent's side of the engine: slots lent to one worker, and all taken back when it is gone.

The queue, its fairness and its bounds are the engine's own, so that they hold across all workers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from riverrun.engine.backend import Hosting
from riverrun.engine.slots import Permit
from riverrun.failures import Cause, Failure, Told
from riverrun.server.workers.messages import Denied, Doubt, GiveBack, Lent, Message, Want

log = logging.getLogger("riverrun.engine")


class Lender:
    """What one worker waits for and holds, by the numbers that it gave. `tell` reaches it."""

    def __init__(self, hosts: Mapping[str, Hosting], tell: Callable[[Message], None]) -> None:
        self._hosts = hosts
        self._tell = tell
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, Permit] = {}

    def heard(self, message: Want | GiveBack | Doubt) -> None:
        if isinstance(message, Want):
            task = asyncio.create_task(self._lend(message))
            self._waiting[message.loan] = task
            task.add_done_callback(lambda task: self._lent(message.loan, task))
        elif isinstance(message, GiveBack):
            self._back(message.loan, message.cut)
        elif (host := self._hosts.get(message.model)) is not None:
            host.doubt()

    def close(self) -> None:
        """The worker is gone. Its answers were not complete: whoever goes on with one of them need not queue again."""
        for loan in (*self._waiting, *self._held):
            self._back(loan, cut=True)

    def _back(self, loan: int, cut: bool) -> None:
        task, permit = self._waiting.pop(loan, None), self._held.pop(loan, None)
        if task is not None:
            task.cancel()
        if permit is not None:
            permit.release(cut=cut)

    async def _lend(self, want: Want) -> None:
        host = self._hosts.get(want.model)
        try:
            if host is None:
                raise Failure(Cause.UNKNOWN_MODEL, f"The model {want.model!r} is not on this machine.")
            permit, ready = await host.enter_queue(want.caller, want.ask)
        except Failure as failure:
            self._tell(Denied(want.loan, Told.of(failure)))
        else:
            self._held[want.loan] = permit
            self._tell(Lent(want.loan, ready))

    def _lent(self, loan: int, task: asyncio.Task[None]) -> None:
        """A bug of ours must not leave the client waiting."""
        self._waiting.pop(loan, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a slot could not be lent to a worker", exc_info=error)
            broken = Failure(Cause.INTERNAL, "The server failed; its log has the details.")
            self._tell(Denied(loan, Told.of(broken)))
