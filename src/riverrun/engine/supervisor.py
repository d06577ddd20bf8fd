"""Keeps one model's engine process running: starts it, waits until it is ready, starts it again when it dies.

Knows nothing of requests. Tells its owner in three words: up, down, and failed.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from typing import Literal, Protocol

import msgspec

from riverrun.engine.health import answers
from riverrun.engine.process import Process
from riverrun.engine.settings import ChildSettings, NotReady, Ready, Report
from riverrun.failures import Cause, Failure

log = logging.getLogger("riverrun.engine")

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
HEALTHY_SECONDS = 60.0
"""A process that lived so long was well: the next pause is the first again."""

MOST_DEATHS = 3
"""Processes in a row that may die while they load, before those who wait are told."""
BYTES_PER_SECOND = 25e6
"""The slowest disk that a model is loaded from."""
MAY_PASS = ("resources", "died")
TOO_MANY_FILES = "too many files are open; raise the limit with `ulimit -n`"

State = Literal["stopped", "loading", "ready", "failed"]


class Pulse(msgspec.Struct, frozen=True):
    """An engine is asked how it is `every` so many seconds; `misses` answers in a row later than `patience` end it.

    One that loads is ended after `loading` seconds, and what it takes to read the file.
    """

    every: float = 10.0
    patience: float = 10.0
    misses: int = 3
    loading: float = 60.0


PULSE = Pulse()


class Owner(Protocol):
    """Who is told. Plain calls, none of which raises."""

    def up(self, ready: Ready) -> None:
        """The engine answers."""

    def down(self) -> None:
        """It died; it is being started again."""

    def failed(self, failure: Failure) -> None:
        """It could not be started, and will not be until `start` is called."""


class Supervisor:
    """One model's process. `start` and `stop` may be called at any time; `state` says how things stand."""

    def __init__(self, settings: ChildSettings, owner: Owner, pulse: Pulse = PULSE) -> None:
        self._settings = settings
        self._owner = owner
        self._pulse = pulse
        self._watch: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0
        self._refusal: NotReady | None = None
        self._deaths = 0
        self.state: State = "stopped"

    @property
    def failure(self) -> Failure | None:
        """Why the model can't run, as clients are told it; None unless the last start failed."""
        if self._refusal is None:
            return None
        rest = self._not_before - asyncio.get_running_loop().time()
        return failure_of(self._settings.name, self._refusal, max(1.0, rest))

    @property
    def resting(self) -> bool:
        """It failed a moment ago, and trying again now would be of no use."""
        return self.state == "failed" and asyncio.get_running_loop().time() < self._not_before

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Begins to start the engine, unless it runs. After a failure it waits out the pause first."""
        if self._watch is None or self._watch.done():
            self.state = "loading"
            self._watch = asyncio.create_task(self._keep(), name=f"engine {self._settings.name}")

    async def stop(self) -> None:
        """Ends the engine and returns when it is gone."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])
        if self.state != "failed":
            self.state = "stopped"

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                self.state = "loading"
                await asyncio.sleep(max(0.0, self._not_before - loop.time()))
                if not await self._run():
                    return
        finally:
            process, self._process = self._process, None
            if process is not None:
                await process.stop()

    async def _run(self) -> bool:
        """One process, from its start to its end. True: it died, so start another."""
        loop = asyncio.get_running_loop()
        try:
            process = self._process = await Process.start(self._settings)
        except OSError as error:
            reason = TOO_MANY_FILES if error.errno in (errno.EMFILE, errno.ENFILE) else error.strerror
            return self._fail(NotReady(f"its process could not be started: {reason}.", "resources"))
        report = await self._report(process)
        if isinstance(report, NotReady):
            self._process = None
            return self._died(report) if report.why == "died" else self._fail(report)
        since = loop.time()
        self.state, self._refusal, self._deaths = "ready", None, 0
        self._owner.up(report)
        await self._until_gone(process, report)
        self._process, self.state = None, "loading"
        if loop.time() - since >= HEALTHY_SECONDS:
            self._pause = FIRST_PAUSE
        log.error("The engine of %s ended by itself; starting it again in %g s.", self._settings.name, self._pause)
        self._wait_longer()
        self._owner.down()
        return True

    async def _report(self, process: Process) -> Report:
        """What the process says of its model. One that takes too long to load it is ended here."""
        seconds = self._pulse.loading + _size(self._settings.model) / BYTES_PER_SECOND
        timer = asyncio.get_running_loop().call_later(seconds, self._too_slow, process, seconds)
        try:
            return await process.report()
        finally:
            timer.cancel()

    def _too_slow(self, process: Process, seconds: float) -> None:
        log.error("The engine of %s was not ready after %.0f s; it is ended.", self._settings.name, seconds)
        process.kill()

    async def _until_gone(self, process: Process, ready: Ready) -> None:
        """Returns when the process has ended. One that no longer answers is ended here."""
        gone, missed = asyncio.create_task(process.gone()), 0
        try:
            while not (await asyncio.wait([gone], timeout=self._pulse.every))[0]:
                missed = 0 if await answers(ready.base_url, self._pulse.patience) else missed + 1
                if missed == self._pulse.misses:
                    log.error("The engine of %s does not answer; it is ended.", self._settings.name)
                    process.kill()
        finally:
            gone.cancel()

    def _died(self, report: NotReady) -> bool:
        """It may have been killed to free memory, say. Those who wait go on waiting while that may pass."""
        self._deaths += 1
        if self._deaths >= MOST_DEATHS:
            return self._fail(report)
        log.error("%s: %s; starting it again in %g s.", self._settings.name, report.message, self._pause)
        self._wait_longer()
        return True

    def _fail(self, report: NotReady) -> bool:
        self._wait_longer()
        self.state, self._refusal = "failed", report
        log.error("The engine of %s could not be started: %s", self._settings.name, report.message)
        self._owner.failed(failure_of(self._settings.name, report, self._pause))
        return False

    def _wait_longer(self) -> None:
        self._not_before = asyncio.get_running_loop().time() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def failure_of(name: str, report: NotReady, rest: float) -> Failure:
    """What a client is told of a model that can't run: too little memory may pass, a broken file will not."""
    message = f"The model {name} can't run on this machine: {report.message}"
    if report.why in MAY_PASS:
        return Failure(Cause.OVERLOADED, message, retry_after=rest)
    return Failure(Cause.INTERNAL, message)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # the process will say so itself
        return 0
