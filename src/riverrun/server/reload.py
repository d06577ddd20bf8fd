"""Takes a changed configuration over, on SIGHUP and when its file changes: whole, or not at all."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from riverrun.config import Config, Loaded
from riverrun.failures import Failure

server_log = logging.getLogger("riverrun.server")

EVERY = 2.0
"""Seconds between two looks at the file; what is written by then is read as it is, and again when it changes."""

Stamp = tuple[int, int, int] | None


class Reload:
    """`again` reads the configuration anew, `apply` takes it over and says what waits for a restart. Both may raise
    Failure: then nothing has changed, and the log says why. Without a `file` there is nothing to take over."""

    def __init__(
        self,
        file: Path | None,
        again: Callable[[], Loaded],
        apply: Callable[[Config], Awaitable[Sequence[str]]],
        every: float = EVERY,
    ) -> None:
        self._file = file
        self._again = again
        self._apply = apply
        self._every = every
        self._stamp = self._look()
        self._seen = self._stamp
        self._timer: asyncio.TimerHandle | None = None
        self._one = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.begin)
        self._timer = loop.call_later(self._every, self._watch)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        for task in self._tasks:
            task.cancel()

    def begin(self) -> None:
        """Reads the file and takes it over, beside what else goes on."""
        task = asyncio.get_running_loop().create_task(self.now())
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def now(self) -> None:
        """Reads the file and takes it over, after a change that is still being taken."""
        if self._file is None:
            server_log.warning("there is no configuration file, so there is nothing to take over")
            return
        async with self._one:
            self._stamp = self._look()
            try:
                loaded = self._again()
                with loaded.hiding():
                    waiting = await self._apply(loaded.config)
            except Failure as failure:
                server_log.error("nothing of the new configuration was taken over. %s", failure.message)
                return
        server_log.info("the configuration in %s was taken over", self._file)
        if waiting:
            server_log.warning("these settings wait for a restart: %s", ", ".join(waiting))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            server_log.error("the configuration could not be taken over by a fault of ours", exc_info=error)

    def _watch(self) -> None:
        """A file that is gone for a moment is one that is being replaced."""
        self._timer = asyncio.get_running_loop().call_later(self._every, self._watch)
        stamp = self._look()
        changed = stamp is not None and stamp != self._stamp
        settled, self._seen = stamp == self._seen, stamp  # a file that still changes is being written
        if changed and settled:
            self.begin()

    def _look(self) -> Stamp:
        if self._file is None:
            return None
        try:
            stat = self._file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
