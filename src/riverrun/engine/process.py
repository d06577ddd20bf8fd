"""One engine process: its private folder, its one line each way, its log, its end. It is never started again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections import deque
from pathlib import Path

import msgspec

from riverrun.engine.settings import ChildSettings, NotReady, Report

log = logging.getLogger("riverrun.engine")

LOG_LINES = 40
STOP_SECONDS = 5.0
LONGEST_FOLDER = 90
"""Bytes; a Unix socket's whole path has at most 107 on Linux and 103 on macOS."""


class Process:
    """A child that runs one model. `start`, then `gone` when it ended; `stop` ends it. `tail` holds its last lines."""

    def __init__(self, child: asyncio.subprocess.Process, folder: Path) -> None:
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
        """Starts the child and tells it its settings; their `folder` is replaced by one made here."""
        folder = private_folder()
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
            shutil.rmtree(folder, ignore_errors=True)
            raise
        process = cls(child, folder)
        assert child.stdin is not None
        with contextlib.suppress(ConnectionError):
            child.stdin.write(msgspec.json.encode(msgspec.structs.replace(settings, folder=str(folder))) + b"\n")
        return process

    async def report(self) -> Report:
        """What the child says of its model, once it is loaded or can't be."""
        assert self._child.stdout is not None
        line = await self._child.stdout.readline()
        if line:
            self._reported = True
            report: Report = msgspec.json.decode(line, type=Report)
            return report
        await self.gone()
        last = next((line for line in reversed(self.tail) if line.strip()), "it said nothing")
        return NotReady(f"the engine process ended while it loaded the model ({self._ending()}); its last line: {last}")

    async def gone(self) -> None:
        """Returns when the process has ended, its log is read and its folder is removed."""
        await self._child.wait()
        await asyncio.wait([self._reading])
        shutil.rmtree(self._folder, ignore_errors=True)

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


def private_folder() -> Path:
    """A new folder that only this user can enter (0700), short enough for a socket's path."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    base = runtime if os.path.isdir(runtime) and len(os.fsencode(runtime)) < LONGEST_FOLDER - 20 else None
    folder = tempfile.mkdtemp(prefix="riverrun-", dir=base)
    if len(os.fsencode(folder)) < LONGEST_FOLDER or not os.path.isdir("/tmp"):
        return Path(folder)
    os.rmdir(folder)
    return Path(tempfile.mkdtemp(prefix="riverrun-", dir="/tmp"))
