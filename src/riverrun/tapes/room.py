"""How much all tapes of a process may take: a bound in memory, then a bound on disk, then no new streams.

What is live is never trimmed: over the bound in memory the oldest tapes' events move to a file without a name. Requests
that are kept with their tapes can't move: they may take a part of the memory, and then there is no new stream either.
"""

from __future__ import annotations

import logging

from riverrun.failures import Cause, Failure
from riverrun.tapes.blocks import Blocks, Memory
from riverrun.tapes.spill import Spill

log = logging.getLogger("riverrun.tapes")

EASE = 0.75
"""Of the bound in memory, to which it goes down when it was passed: spilling comes in strides, not at each event.
Requests may take as much before nobody comes in, so that there is a stride to be had."""


class Room(Memory):
    """`memory` and `disk` are in bytes; `folder` is where spilled events go, the system's temporary one by default."""

    def __init__(self, memory: int, disk: int, folder: str | None = None) -> None:
        super().__init__(memory)
        self.spilled = 0
        """Bytes of events on disk."""
        self._disk = disk
        self._file = Spill(folder)
        self._blocks: dict[Blocks, int] = {}  # oldest first; the bytes that each has on disk
        self._failing = False

    @property
    def tapes(self) -> int:
        """How many there are in this process."""
        return len(self._blocks)

    def blocks(self) -> Blocks:
        """Room for one more tape's events; `free` gives it back."""
        made = Blocks(self)
        self._blocks[made] = 0
        return made

    def free(self, blocks: Blocks) -> None:
        if blocks in self._blocks:
            blocks.drop()
            self.spilled -= self._blocks.pop(blocks)

    @property
    def full(self) -> bool:
        stuck = self._failing or self.spilled >= self._disk
        return self.held > self.bound * EASE or (self.used > self.bound and stuck)

    def admit(self) -> None:
        """Raises Failure when there is no room for another stream."""
        if self.full:
            raise Failure(
                Cause.OVERLOADED,
                "The server has no room for the record of another stream; ask again in a moment.",
                retry_after=5.0,
            )

    def passed(self) -> None:
        if self.spilled < self._disk:
            self._spill()

    def _spill(self) -> None:
        for blocks in list(self._blocks):
            try:
                moved = blocks.spill(self._file)
            except OSError as error:
                if not self._failing:
                    log.error("tapes can't spill to %s: %s", self._file.folder, error)
                self._failing = True
                return
            self._blocks[blocks] += moved
            self.spilled += moved
            if self.used <= self.bound * EASE:
                break
        self._failing = False
