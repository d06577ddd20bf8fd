"""The ledger in SQLite: rows wait in memory for each other, briefly, and are written in one short transaction.

SQL by parameters only (SEC3). A file that can't be written stops no run: it is said once, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from math import inf
from pathlib import Path
from typing import TypeVar

import msgspec

from riverrun import __version__
from riverrun.config import StoreConfig
from riverrun.failures import Failure
from riverrun.store.contract import Attempted, Entry, Ledger, NoLedger, Reserved, Settled
from riverrun.store.inserts import UNFIT, Particular, one_by_one, together
from riverrun.store.schema import UNSETTLED, WRITE_PATIENCE, connected, place

log = logging.getLogger("riverrun.store")

T = TypeVar("T")

GROUP = 0.05
"""Seconds that a row waits for others. A transaction takes about 140 µs whatever it holds: at a thousand answers a
second fifty share one, and it costs each of them 3 µs. An ending after 50 ms without one waits for nothing."""

AGAIN = 1.0
"""Seconds until a file that can't be written is tried again; one that another process holds is after `GROUP`."""

AT_ONCE = 1000
"""Rows of one transaction, about 10 ms for which the loop stands still."""

MOST_WAITING = 20_000
"""Rows in memory while the file can't be written, about 10 MB; later ones are counted and dropped."""

LONGEST_NAME = 256
"""Characters of a model's name that are kept."""

PATIENT = 40
"""Tries in a row that another process's lock may cost before it is said: two seconds."""

OPEN = f"""
SELECT id, number, target, at FROM attempt WHERE id = ?
AND {UNSETTLED}
ORDER BY number
"""

COMPLETED = "SELECT SUM(completion_tokens) FROM ended WHERE id = ?"

LOST = f"""
INSERT INTO settle
SELECT id, number, 'owner_died', 0, 0, 0, 0, 'estimated', ?, NULL
FROM open CROSS JOIN attempt USING (id, number) WHERE attempt.at < ?
AND {UNSETTLED}
"""

LOST_AFTER = 24 * 3600.0
"""Seconds after which an attempt without an ending has nobody who will settle it: no answer takes as long."""

BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def ledger(config: StoreConfig) -> Ledger:
    """The configured ledger. Raises Failure for a file that can't be used."""
    path = place(config)
    return SqliteLedger(path) if path is not None else NoLedger()


class SqliteLedger:
    """One process's way to the file; any number of processes may share it. `most`: rows that may wait.

    Raises Failure for a file that can't be used; once it is open, nothing raises. Outside a running loop every row is
    written at once.
    """

    def __init__(self, path: Path, most: int = MOST_WAITING) -> None:
        self.dropped = 0
        self._path = path
        self._most = most
        self._rows: deque[Entry] = deque()
        self._timer: asyncio.TimerHandle | None = None  # runs while rows wait
        self._last = -inf  # transaction, by the loop's clock
        self._quiet = False  # it was a while ago when the first of the rows that wait came
        self._tries = 0  # in a row that failed
        self._said = False
        self._db: sqlite3.Connection | None = connected(path, __version__)

    @property
    def waiting(self) -> int:
        return len(self._rows)

    def reserve(self, entry: Reserved) -> None:
        """A client may have made the name up, where a model is the default: the file gets its beginning."""
        short = len(entry.model) <= LONGEST_NAME
        self._add(entry if short else msgspec.structs.replace(entry, model=entry.model[:LONGEST_NAME]))

    def attempt(self, entry: Attempted) -> None:
        self._add(entry)

    def settle(self, entry: Settled) -> None:
        """Written at once, with what waits, where the ledger has been quiet; else with the others, in `GROUP`."""
        self._add(entry)
        if self._quiet:
            self.flush()

    def open_attempts(self, id: str) -> list[Attempted]:
        self.flush()
        found: list[Attempted] = []
        if self._db is not None:
            with suppress(sqlite3.Error):
                found = [Attempted(*row) for row in self._db.execute(OPEN, (id,))]
        found += [row for row in self._rows if isinstance(row, Attempted) and row.id == id]
        settled = {row.number for row in self._rows if isinstance(row, Settled) and row.id == id}
        return [row for row in found if row.number not in settled]

    def completed(self, id: str) -> int:
        self.flush()
        sums = [row.completion_tokens for row in self._rows if isinstance(row, Settled) and row.id == id]
        if self._db is not None:
            with suppress(sqlite3.Error):
                sums += [total or 0 for (total,) in self._db.execute(COMPLETED, (id,))]
        return sum(sums)

    def settle_lost(self, now: float) -> None:
        if self._db is not None:
            try:
                lost = self._db.execute(LOST, (now, now - LOST_AFTER)).rowcount
            except sqlite3.Error as error:  # another time: whoever starts next tries it too
                log.warning("attempts that were lost could not be settled in the ledger %s: %s", self._path, error)
                return
            if lost:
                log.warning("%d attempts of processes that died are settled in the ledger, as estimated", lost)

    def flush(self) -> None:
        """As many rows as one transaction takes; where more wait, the loop has its turn in between."""
        self._disarm()
        if self._rows and self._written() and self._rows:
            self._wait(GROUP)

    def close(self) -> None:
        while self._rows and self._written():
            pass
        self._disarm()
        if self._rows:
            log.error("%d rows of the ledger %s could not be written and are lost", len(self._rows), self._path)
            self.dropped += len(self._rows)
            self._rows.clear()
        self._let_go()

    def _add(self, entry: Entry) -> None:
        if len(self._rows) >= self._most:
            self.dropped += 1
            return
        self._rows.append(entry)
        if self._timer is None:
            self._begin()

    def _begin(self) -> None:
        """The first row that waits has come. Outside a loop nothing does; a file in trouble is not tried for it."""
        loop = _loop()
        if loop is not None:
            self._quiet = loop.time() - self._last >= GROUP
            self._wait(GROUP)
        elif not self._tries:
            self.flush()

    def _written(self) -> bool:
        """Whether the first rows that wait are on disk now."""
        rows = list(islice(self._rows, AT_ONCE))
        try:
            unfit = self._write(rows)
        except (sqlite3.Error, Failure, OSError) as error:
            self._failed(error)
            return False
        if self._said:
            log.warning("the ledger %s can be written again; %d rows had waited for it", self._path, self.waiting)
        for _ in rows:
            self._rows.popleft()
        self.dropped += unfit
        self._last = _time()
        self._tries, self._said = 0, False
        return True

    def _write(self, rows: list[Entry]) -> int:
        """One transaction; returns how many of them no ledger takes. Raises where the file can't take any now."""
        if self._db is None:
            self._db = connected(self._path, __version__, patience=WRITE_PATIENCE)
        try:
            return _transacted(self._db, together, rows) or 0
        except (Particular, *UNFIT):
            return _transacted(self._db, one_by_one, rows)

    def _failed(self, error: Exception) -> None:
        """It is tried again: soon where another process was writing, else later and with the file opened anew."""
        self._tries += 1
        busy = isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY
        if not self._said and (not busy or self._tries >= PATIENT):
            self._said = True
            log.error("the ledger %s can't be written, its rows wait in memory: %s", self._path, error)
        if not busy:
            self._let_go()
        self._disarm()
        self._wait(GROUP if busy else AGAIN)

    def _let_go(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _wait(self, seconds: float) -> None:
        loop = _loop()
        if loop is not None:
            self._timer = loop.call_later(seconds, self.flush)

    def _disarm(self) -> None:
        self._quiet = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _transacted(db: sqlite3.Connection, write: Callable[[sqlite3.Connection, list[Entry]], T], rows: list[Entry]) -> T:
    """All of it, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        done = write(db, rows)
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return done


def _loop() -> asyncio.AbstractEventLoop | None:
    """The running one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _time() -> float:
    loop = _loop()
    return loop.time() if loop is not None else -inf
