"""One end of the private line between a parent and a worker: what is told, what is asked, and its loss.

Knows no message; whoever holds the end says what becomes of each.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from typing import cast

from riverrun.server.workers.messages import Message, Note, read, written

log = logging.getLogger("riverrun.server")

PATIENCE = 5.0
"""Seconds for an answer: the other side only looks into its own memory, or judges a configuration."""


class LineLost(Exception):
    """The other process is gone, or does not answer."""


class Line(asyncio.Protocol):
    """`heard` is given what is told, `asked` a question and gives its answer; `lost` is called once, at the end."""

    def __init__(
        self,
        heard: Callable[[Message], None],
        asked: Callable[[Message], Awaitable[Message]],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.open = False
        self._heard = heard
        self._asked = asked
        self._lost = lost
        self._rest = b""
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def over(self, sock: socket.socket) -> None:
        """Begins, on a connected Unix socket."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=sock)

    def tell(self, message: Message) -> None:
        """Where nobody is left to hear it, it is lost without a word."""
        self._write(Note(message))

    async def ask(self, question: Message, patience: float = PATIENCE) -> Message:
        """The answer. Raises LineLost."""
        if not self.open:
            raise LineLost("it is gone")
        number = next(self._numbers)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._write(Note(question, question=number))
        try:
            async with asyncio.timeout(patience):
                return await answer
        except TimeoutError:
            raise LineLost(f"it did not answer within {patience:g} s") from None
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """What was told before still arrives."""
        if self.open:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LineLost("it ended"))
        for task in self._answering:
            task.cancel()
        self._lost()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(read(line))

    def _take(self, note: Note) -> None:
        if note.answer:
            answer = self._waiting.get(note.answer)
            if answer is not None and not answer.done():
                answer.set_result(note.message)
        elif note.question:
            task = asyncio.create_task(self._reply(note))
            self._answering.add(task)
            task.add_done_callback(self._replied)
        else:
            self._heard(note.message)

    async def _reply(self, note: Note) -> None:
        self._write(Note(await self._asked(note.message), answer=note.question))

    def _replied(self, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a question between our processes found a fault of ours", exc_info=error)

    def _write(self, note: Note) -> None:
        if self.open:
            self._transport.write(written(note))
