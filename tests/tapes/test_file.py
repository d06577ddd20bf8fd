"""Tapes in files: the contract of all tapes."""

import asyncio
import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from riverrun.tapes.disk import Disk
from riverrun.tapes.file import FileTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests import virtual
from tests.tapes.contract import Nobody, Scenario, Setting, TapesContract


class Filling(Disk):
    """Works until it is full."""

    full = False

    def append(self, file: int, pieces: Sequence[bytes]) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().append(file, pieces)

    def fill(self) -> None:
        self.full = True


class TestFile(TapesContract):
    @pytest.fixture(autouse=True)
    def places(self, tmp_path: Path) -> Iterator[None]:
        self.root = tmp_path / "tapes"
        with tempfile.TemporaryDirectory(prefix="rr") as sockets:
            self.sockets = Path(sockets)
            yield

    def run(self, scenario: Scenario, retention: Retention | None = None, largest: int | None = None) -> None:
        async def main() -> None:
            now = asyncio.get_running_loop().time
            disk = Filling()
            here, there = (
                FileTapes(
                    self.root,
                    Room(1_000_000, 1_000_000),
                    retention or Retention(),
                    Random(seed),
                    now,
                    largest,
                    disk=used,
                    sockets=self.sockets,
                )
                for seed, used in ((1, disk), (2, Disk()))
            )
            await here.open_for(Nobody())
            await there.open_for(Nobody())
            try:
                await scenario(Setting(here, there, asyncio.sleep, disk.fill))
            finally:
                await here.close()
                await there.close()

        virtual.run(main())
