"""Write-ahead with group commit: what all tapes of this process append goes to Redis in one batch at a time.

Nothing is acknowledged before Redis has it. A lost connection leaves a doubt about the last batch; it is settled by
looking at the top of each stream before anything more is sent, so that no entry is written twice or left out.
"""

from __future__ import annotations

import asyncio

from riverrun.tapes.redis_entries import id_of
from riverrun.tapes.redis_journal import ENTRY, Journal
from riverrun.tapes.redis_link import Link
from riverrun.tapes.redis_reply import Away, Said, command
from riverrun.tapes.redis_scripts import TOPS

BATCH = 4 * ENTRY
"""Bytes that are sent at once, about: they must get through in the time of one answer."""
PACE = 0.002
"""Seconds between the beginnings of two batches, at least: under load they grow instead of becoming more."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between tries while Redis is away, doubling."""


class Writer:
    """`answer` and `patience` as in Timing, in seconds."""

    def __init__(self, link: Link, answer: float, patience: float) -> None:
        self._link = link
        self._answer = answer
        self._patience = patience
        self._line = link.line()
        self._journals: dict[Journal, None] = {}
        self._busy: dict[Journal, None] = {}
        self._doubtful: dict[Journal, None] = {}
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def take(self, journal: Journal) -> None:
        self._journals[journal] = None

    def forget(self, journal: Journal) -> None:
        for kept in (self._journals, self._busy, self._doubtful):
            kept.pop(journal, None)
        if not self._busy:
            self._idle.set()

    def wake(self, journal: Journal) -> None:
        self._busy[journal] = None
        self._wanted.set()
        self._idle.clear()

    def doubt(self) -> None:
        """Others may have taken our tapes: look before anything else is sent."""
        self._doubtful.update(self._journals)
        self._wanted.set()

    async def flushed(self) -> None:
        """Waits until nothing is left to be written."""
        await self._idle.wait()

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        begun = 0.0
        try:
            while True:
                await self._wanted.wait()
                early = begun + PACE - loop.time()
                if early > 0:
                    await asyncio.sleep(early)
                begun = loop.time()
                self._wanted.clear()
                try:
                    await self._round()
                    pause = FIRST_PAUSE
                except Away as away:
                    self._link.missed(away)
                    self._judge_patience()
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                    self._wanted.set()
        finally:
            await self._line.close()

    async def _round(self) -> None:
        if not self._line.connected:
            await self._line.connect(self._answer)
            self._doubtful.update(self._journals)
        await self._settle()
        batch = self._batch()
        replies = await self._line.exchange([journal.command() for journal in batch], self._answer) if batch else []
        refused: dict[Journal, str] = {}
        for journal, reply in zip(batch, replies, strict=True):
            journal.answered(reply)
            if isinstance(reply, Said):
                self._doubtful[journal] = None
                refused[journal] = reply.message
            self._queue(journal)
        self._link.met()
        if self._doubtful:
            await self._settle()
            for journal, message in refused.items():
                if journal.unsettled:
                    raise Away(f"it does not write: {message}")
        if self._busy:
            self._wanted.set()
        else:
            self._idle.set()

    async def _settle(self) -> None:
        """Asks for the top of every stream that is in doubt."""
        doubtful = list(self._doubtful)
        if not doubtful:
            return
        look = command("EVAL", TOPS, len(doubtful), *(journal.key for journal in doubtful))
        (tops,) = await self._line.exchange([look], self._answer)
        if not isinstance(tops, list):
            raise Away(tops.message if isinstance(tops, Said) else "it does not say what it has")
        for journal, top in zip(doubtful, tops, strict=True):
            journal.judge(id_of(top) if isinstance(top, bytes) else None)
            self._doubtful.pop(journal, None)
            self._queue(journal)

    def _queue(self, journal: Journal) -> None:
        """To the end, if it has more."""
        self._busy.pop(journal, None)
        if journal.busy:
            self._busy[journal] = None

    def _batch(self) -> list[Journal]:
        batch = []
        size = 0
        for journal in list(self._busy):
            if size >= BATCH:
                break
            size += journal.next().size
            batch.append(journal)
        return batch

    def _judge_patience(self) -> None:
        oldest = asyncio.get_running_loop().time() - self._patience
        for journal in list(self._busy):
            if journal.since is not None and journal.since <= oldest:
                journal.fail(Away("it has been away for too long"))
