"""One engine process: its private folder, its one line each way, its log, its end. It is never started again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import sys
from collections import deque

import msgspec

from riverrun.engine.private import PrivateFolder
from riverrun.engine.settings import ChildSettings, NotReady, Report

log = logging.getLogger("riverrun.engine")

LOG_LINES = 40
STOP_SECONDS = 5.0
DESCRIPTORS = 16
"""Open files that starting a child takes for a moment, with some to spare."""
COMPLAINT = re.compile(r"[\d.]+ E [^:]*: (.+)")
"""A line of the engine's log that tells an error: time, level, where, what."""


class Process:
    """A child that runs one model. `start`, then `gone` when it ended; `stop` ends it. `tail` holds its last lines."""

    def __init__(self, child: asyncio.subprocess.Process, folder: PrivateFolder) -> None:
        self._child = child
        self._folder = folder
        self.tail: deque[str] = deque(maxlen=LOG_LINES)
        self._reported = False
        self._reading = asyncio.create_task(self._read_log())

    @property
    def pid(self) -> int:
        return self._child.pid

    @classmethod
    async def start(cls, settings: ChildSettings) -> Process:
        """Starts the child and tells it its settings; their `folder` is replaced by one made here. Raises OSError."""
        _check_descriptors()
        folder = PrivateFolder()
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "riverrun.engine.child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C at the terminal is for the server alone
            )
        except BaseException:
            folder.remove()
            raise
        process = cls(child, folder)
        assert child.stdin is not None
        with contextlib.suppress(ConnectionError):
            child.stdin.write(msgspec.json.encode(msgspec.structs.replace(settings, folder=str(folder.path))) + b"\n")
        return process

    async def report(self) -> Report:
        """What the child says of its model, once it is loaded or can't be; a child that says no has ended by then."""
        assert self._child.stdout is not None
        line = await self._child.stdout.readline()
        if line:
            self._reported = True
            report: Report = msgspec.json.decode(line, type=Report)
        else:
            report = NotReady("the engine process ended while it loaded the model", "died")
        if isinstance(report, NotReady):
            await self.gone()
            return self._explained(report)
        return report

    async def gone(self) -> None:
        """Returns when the process has ended, its log is read and its folder is removed."""
        await self._child.wait()
        await asyncio.wait([self._reading])
        self._folder.remove()

    async def stop(self) -> None:
        """Ends the process: it leaves when its stdin ends, and is killed where it does not or can't yet."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        if not self._reported:  # the engine hears nothing while it loads
            self.kill()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._child.wait()
        except TimeoutError:
            self.kill()
        await self.gone()

    def kill(self) -> None:
        """Ends the process at once; `gone` tells when."""
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()

    def _explained(self, report: NotReady) -> NotReady:
        """The report with what the log knows of it. The first complaint is the cause; the others follow from it."""
        last = next((line for line in reversed(self.tail) if line.strip()), "it said nothing")
        complaint = next((found[1] for line in self.tail if (found := COMPLAINT.match(line))), last)
        more = {"engine": f": {complaint}.", "died": f" ({self._ending()}); its last line: {last}"}
        return NotReady(report.message + more.get(report.why, ""), report.why)

    def _ending(self) -> str:
        code = self._child.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"status {code}"

    async def _read_log(self) -> None:
        assert self._child.stderr is not None
        while True:
            try:
                line = await self._child.stderr.readline()
            except ValueError:  # longer than the reader's limit: dropped
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            self.tail.append(text)
            log.debug("%s", text)


def _check_descriptors() -> None:
    """Raises OSError where too few files may still be opened: uvloop's own error does not say so, and leaks some."""
    taken: list[int] = []
    try:
        for _ in range(DESCRIPTORS):
            taken.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in taken:
            os.close(descriptor)
