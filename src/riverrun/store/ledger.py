"""The ledger in SQLite: rows wait in memory for at most 50 ms and are written in one short transaction.

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
from pathlib import Path

import msgspec

from riverrun import __version__
from riverrun.config import StoreConfig
from riverrun.failures import Failure
from riverrun.store.contract import Attempted, Entry, Ledger, NoLedger, Reserved, Settled
from riverrun.store.schema import WRITE_PATIENCE, connected, place

log = logging.getLogger("riverrun.store")

GROUP = 0.05
"""Seconds that a row waits for others."""

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

INSERT: dict[type[Entry], str] = {
    Reserved: "INSERT INTO reserve VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    Attempted: "INSERT INTO attempt VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    Settled: "INSERT INTO settle VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
}

OPEN = """
SELECT id, number, target, at FROM attempt WHERE id = ?
AND NOT EXISTS (SELECT 1 FROM settle WHERE settle.id = attempt.id AND settle.number = attempt.number)
ORDER BY number
"""

COMPLETED = "SELECT SUM(completion_tokens) FROM settle WHERE id = ?"

LOST = """
INSERT INTO settle SELECT id, number, 'owner_died', 0, 0, 0, 0, 'estimated', ?, NULL FROM attempt WHERE at < ?
AND NOT EXISTS (SELECT 1 FROM settle WHERE settle.id = attempt.id AND settle.number = attempt.number)
"""

LOST_AFTER = 24 * 3600.0
"""Seconds after which an attempt without an ending has nobody who will settle it: no answer takes as long."""

UNFIT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""A row that no ledger takes, whatever the state of the file."""

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
        self._timer: asyncio.TimerHandle | None = None
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
        """Written at once, with what waits; unless the file is known to be in trouble."""
        self._add(entry)
        if not self._tries:
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
            self._arm(GROUP)

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
            self._arm(GROUP)

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
        self._tries, self._said = 0, False
        return True

    def _write(self, rows: list[Entry]) -> int:
        """One transaction; returns how many of them no ledger takes. Raises where the file can't take any now."""
        if self._db is None:
            self._db = connected(self._path, __version__, patience=WRITE_PATIENCE)
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            unfit = sum(not _inserted(db, row) for row in rows)
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise
        return unfit

    def _failed(self, error: Exception) -> None:
        """It is tried again: soon where another process was writing, else later and with the file opened anew."""
        self._tries += 1
        busy = isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY
        if not self._said and (not busy or self._tries >= PATIENT):
            self._said = True
            log.error("the ledger %s can't be written, its rows wait in memory: %s", self._path, error)
        if not busy:
            self._let_go()
        self._arm(GROUP if busy else AGAIN)

    def _let_go(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = _later(seconds, self.flush)
        if self._timer is None and not self._tries:
            self.flush()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _inserted(db: sqlite3.Connection, row: Entry) -> bool:
    """False: it fits no ledger. One that is there already is left as it is."""
    try:
        new = db.execute(INSERT[type(row)], msgspec.structs.astuple(row)).rowcount
    except UNFIT as error:
        log.error("%s fits no ledger and is left out: %s", _name(row), type(error).__name__)
        return False
    if not new:
        log.error("%s is in the ledger already; the first row of it counts", _name(row))
    return True


def _later(seconds: float, call: Callable[[], None]) -> asyncio.TimerHandle | None:
    """None where no loop runs."""
    try:
        return asyncio.get_running_loop().call_later(seconds, call)
    except RuntimeError:
        return None


def _name(row: Entry) -> str:
    number = "" if isinstance(row, Reserved) else f" {row.number}"
    return f"{type(row).__name__.lower()} {row.id}{number}"
