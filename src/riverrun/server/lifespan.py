"""The application's start and end, by the ASGI lifespan protocol. What it raises comes out here as it was raised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from riverrun.server.asgi import Message, Receive, Scope, Send
from riverrun.server.sockets import HostError

Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


class Lifespan:
    """`start`, then `stop`, each at most once, from one task."""

    def __init__(self, app: Asgi) -> None:
        self.state: dict[str, object] = {}
        self._app = app
        self._asked: asyncio.Queue[Message] = asyncio.Queue(maxsize=2)
        self._told: asyncio.Queue[Message] = asyncio.Queue(maxsize=2)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the application is ready. Raises what it raised, or HostError when it said that it failed."""
        self._task = asyncio.create_task(self._run(), name="lifespan")
        try:
            await self._ask("startup")
        except BaseException:
            await self._cancel()
            raise

    async def stop(self, within: float) -> None:
        """Asks the application to end, and cancels it when that takes longer than so many seconds."""
        if self._task is None or self._task.done():
            return
        try:
            async with asyncio.timeout(within):
                await self._ask("shutdown")
                await self._task
        except TimeoutError:
            raise HostError(f"The application did not stop within {within:g} s and was cancelled.") from None
        finally:
            await self._cancel()

    async def _run(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        await self._app(scope, self._asked.get, self._told.put)

    async def _ask(self, what: str) -> None:
        assert self._task is not None
        self._asked.put_nowait({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._told.get())
        try:
            await asyncio.wait((answer, self._task), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._task.result()  # raises what the application raised
                raise HostError(f"The application ended before its {what} was complete.")
            if answer.result()["type"] != f"lifespan.{what}.complete":
                raise HostError(str(answer.result().get("message") or f"The application's {what} failed."))
        finally:
            answer.cancel()

    async def _cancel(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled():
            self._task.exception()  # it was raised where it belongs, or no longer matters
