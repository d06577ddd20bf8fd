"""Processes of a simulated machine, all in one loop: each has its own tasks, timers, sockets, and can be killed.

Whatever a process starts inherits its context, so that everything it set going is known as its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar

from tests.faults.memory_net import MemoryLoop, Transport

T = TypeVar("T")

_MINE: ContextVar[Process | None] = ContextVar("_MINE", default=None)
LATE = 1e-6
"""Seconds by which every timer is late."""

LAST_WORDS = 60.0
"""Virtual seconds for what a dead process left, once the world is over and it may run again."""


def process_of(context: Context) -> Process | None:
    return context.get(_MINE)


class ProcessLoop(MemoryLoop):
    """Knows whose every task is, and what went wrong in which callback."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        """What the loop was told of that nobody caught."""
        self.set_exception_handler(lambda loop, told: self.faults.append(_told(told)))
        self.set_task_factory(_owned)  # type: ignore[arg-type]  # asyncio calls it so where there is a context

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """No timer of any system is early, as ours would be now and then by a rounding of its sums."""
        return super().call_at(when + LATE, callback, *args, context=context)


class Process:
    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: dict[asyncio.Future[object], None] = {}
        """Those that are not done, the oldest first."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ProcessLoop)
        self._loop = loop
        self._vanished: list[Transport] = []

    def run(self, main: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """A task of this process."""
        context = copy_context()
        context.run(_MINE.set, self)
        return self._loop.create_task(main, context=context)

    @property
    def timers(self) -> list[asyncio.Handle]:
        """What is due later."""
        return [each for each in _handles(self._loop, "_scheduled") if self._owns(each)]

    @property
    def sockets(self) -> list[str]:
        """What it listens on and is connected to."""
        listening = [str(at) for at, (_, context) in self._loop.listeners.items() if process_of(context) is self]
        return listening + [repr(each) for each in self._loop.transports if process_of(each.context) is self]

    def kill(self) -> None:
        """As kill -9: nothing of it runs any more, and its sockets are closed by the kernel."""
        for name in ("_ready", "_scheduled"):
            for handle in _handles(self._loop, name):
                if self._owns(handle):
                    handle.cancel()
        for at, (_, context) in list(self._loop.listeners.items()):
            if process_of(context) is self:
                del self._loop.listeners[at]
        for transport in list(self._loop.transports):
            if process_of(transport.context) is self:
                transport.vanish()
                self._vanished.append(transport)

    async def bury(self) -> None:
        """After the end of the world: its tasks are freed, which Python does not do without running them."""
        for transport in self._vanished:
            transport.forget()
        for _ in range(10):
            if not self.tasks:
                return
            for task in list(self.tasks):
                task.cancel()
            await asyncio.wait(list(self.tasks), timeout=LAST_WORDS)
        for task in self.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # nobody can free it

    def _owns(self, handle: asyncio.Handle) -> bool:
        return not handle.cancelled() and process_of(handle._context) is self  # type: ignore[attr-defined]  # asyncio's


def _handles(loop: asyncio.AbstractEventLoop, name: str) -> list[asyncio.Handle]:
    return list(getattr(loop, name))


def _owned(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[object, object, T], context: Context | None = None
) -> asyncio.Task[T]:
    task = asyncio.Task(coroutine, loop=loop, context=context)
    owner = process_of(context) if context is not None else _MINE.get()
    if owner is not None:
        owner.tasks[task] = None  # type: ignore[index]  # a task of anything
        task.add_done_callback(lambda done: owner.tasks.pop(done, None))  # type: ignore[arg-type]  # as above
    return task


def _told(told: dict[str, object]) -> str:
    return f"{told.get('message')}: {told.get('exception')!r} {told.get('task') or told.get('handle') or ''}"
