"""The net for SDKs that ask again by themselves, without a key: a retry joins the answer that its client lost.

Only where the request is the same, its tenant too, nobody reads the answer any more, and no retry has joined it before:
two first attempts are never merged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from riverrun.failures import Failure
from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Head, Tape, Tapes

WITHIN = 120.0
"""Seconds after its last reader has left: SDKs wait 8 s at most between two tries."""


class Retries:
    """Lost answers are noted by tenant and request where every process that shares the tapes finds them."""

    def __init__(self, tapes: Tapes) -> None:
        self._tapes = tapes
        self._busy: set[asyncio.Task[None]] = set()

    def left(self, head: Head) -> None:
        """The last reader of this answer has left; told once for each answer."""
        if not head.key:
            self._do(self._note(head))

    def returned(self, head: Head) -> None:
        """A reader is back: the answer is not lost."""
        if not head.key:
            self._do(self._forget(head))

    async def joined(self, tenant: str, digest: str) -> Tape | None:
        """The newest lost answer to the same request, for the first who asks for it, unless it has failed since."""
        name = _name(tenant, digest)
        try:
            id = await self._tapes.noted(name)
            if id is None or not await self._tapes.drop_note(name):
                return None
            tape = await self._tapes.open(tenant, id.decode())
        except Failure:  # it has expired, or the tapes can't be asked: then it is a request like any other
            return None
        return tape if tape is not None and (tape.ending is None or isinstance(tape.ending, Finished)) else None

    def _do(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(what)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _note(self, head: Head) -> None:
        with suppress(Failure):  # else the net has a hole: the retry is answered anew
            await self._tapes.note(_name(head.tenant, head.digest), head.id.encode(), WITHIN)

    async def _forget(self, head: Head) -> None:
        name = _name(head.tenant, head.digest)
        with suppress(Failure):
            if await self._tapes.noted(name) == head.id.encode():
                await self._tapes.drop_note(name)


def _name(tenant: str, digest: str) -> str:
    return f"lost {tenant} {digest}"
