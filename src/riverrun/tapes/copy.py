"""A tape whose owner is elsewhere, or dead, as this process has it: a log that is fed with records."""

from __future__ import annotations

from riverrun.tapes.blocks import Blocks, unread
from riverrun.tapes.contract import Committed, Head
from riverrun.tapes.log import Log
from riverrun.tapes.records import Begin, Block, Ended, Record


class Copy(Log):
    """Whoever feeds it may feed it the same again: what it has already is passed over."""

    def __init__(self, head: Head, blocks: Blocks) -> None:
        super().__init__(head, blocks)
        self.epoch = 1
        self.owner = ""

    def take(self, record: Record) -> None:
        """The next record of the tape."""
        if isinstance(record, Block):
            self._block(record)
        elif isinstance(record, Begin):
            self.epoch, self.owner = record.epoch, record.owner
        elif isinstance(record, Committed):
            self.began(record)
        elif isinstance(record, Ended):
            self.ends(record.ending, record.usage)

    def _block(self, record: Block) -> None:
        if record.last > self.last:
            block = unread(record.block, self.last, record.last)
            self.blocks.add(block, record.last)
            self.grown(block, record.last)
