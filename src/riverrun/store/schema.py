"""The ledger's file: where it is, how it is opened, and which tables of which version it has. Knows no row."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from platformdirs import user_data_dir

from riverrun.config import StoreConfig
from riverrun.failures import Cause, Failure

MEMORY = ":memory:"

OPEN_PATIENCE = 5.0
"""Seconds that an opening process waits for another one that makes the tables."""

OPEN_TRIES = 200

WRITE_PATIENCE = 0.01
"""Seconds that a write waits for another process; the loop stands still meanwhile, so it rather tries later."""

ENDING = """\
  id TEXT NOT NULL,
  number INTEGER NOT NULL,
  ending TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
  completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
  cached_tokens INTEGER NOT NULL CHECK (cached_tokens >= 0),
  reasoning_tokens INTEGER NOT NULL CHECK (reasoning_tokens >= 0),
  source TEXT NOT NULL CHECK (source IN ('provider', 'counted', 'estimated')),
  at REAL NOT NULL,
  client_request_id TEXT,
"""
"""The columns of an ending: all of `settle`, and the first of `whole`."""

FIRST = f"""
CREATE TABLE ledger_version (version INTEGER NOT NULL, riverrun TEXT NOT NULL);
CREATE TABLE reserve (
  id TEXT NOT NULL PRIMARY KEY,
  tenant TEXT NOT NULL,
  model TEXT NOT NULL,
  at REAL NOT NULL
);
CREATE TABLE attempt (
  id TEXT NOT NULL,
  number INTEGER NOT NULL,
  target TEXT NOT NULL,
  at REAL NOT NULL,
  UNIQUE (id, number)
);
CREATE TABLE settle (
{ENDING}  UNIQUE (id, number)
);
CREATE INDEX settle_at ON settle (at);
CREATE TRIGGER reserve_stays BEFORE UPDATE ON reserve BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER attempt_stays BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER settle_stays BEFORE UPDATE ON settle BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
"""

SECOND = f"""
CREATE TABLE whole (
{ENDING}  tenant TEXT,
  model TEXT,
  began REAL,
  target TEXT NOT NULL,
  asked REAL NOT NULL,
  UNIQUE (id, number)
);
CREATE INDEX whole_at ON whole (at);
CREATE TRIGGER whole_stays BEFORE UPDATE ON whole BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER whole_once BEFORE INSERT ON whole
  WHEN EXISTS (SELECT 1 FROM settle WHERE id = NEW.id AND number = NEW.number) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER settle_once BEFORE INSERT ON settle
  WHEN EXISTS (SELECT 1 FROM whole WHERE id = NEW.id AND number = NEW.number) BEGIN SELECT RAISE(IGNORE); END;
CREATE VIEW request AS SELECT id, tenant, model, at FROM reserve
  UNION ALL SELECT id, tenant, model, began FROM whole WHERE tenant IS NOT NULL;
CREATE VIEW call AS SELECT id, number, target, at FROM attempt
  UNION ALL SELECT id, number, target, asked FROM whole;
CREATE VIEW ended AS SELECT *, NULL AS tenant, NULL AS model, NULL AS began, NULL AS target, NULL AS asked FROM settle
  UNION ALL SELECT * FROM whole;
CREATE TABLE open (id TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (id, number)) WITHOUT ROWID;
INSERT INTO open SELECT id, number FROM attempt
  WHERE NOT EXISTS (SELECT 1 FROM settle WHERE settle.id = attempt.id AND settle.number = attempt.number);
CREATE TRIGGER attempt_opens AFTER INSERT ON attempt
  BEGIN INSERT INTO open VALUES (NEW.id, NEW.number) ON CONFLICT DO NOTHING; END;
CREATE TRIGGER settle_closes AFTER INSERT ON settle
  BEGIN DELETE FROM open WHERE id = NEW.id AND number = NEW.number; END;
"""
"""A call that began and ended within one transaction is one row, in `whole`: it has what `settle`, `attempt` and
`reserve` would have (a third of the work). `request`, `call` and `ended` show both kinds alike. `open` has the attempts
that nobody settled, so that looking for them costs what they are, and not what the whole ledger is.

The tables of the first version stay as they are: a server of that version which still drains goes on writing them."""

UNSETTLED = """
NOT EXISTS (SELECT 1 FROM settle WHERE settle.id = attempt.id AND settle.number = attempt.number)
AND NOT EXISTS (SELECT 1 FROM whole WHERE whole.id = attempt.id AND whole.number = attempt.number)
"""
"""Of an attempt. (SQLite would make a copy of all of `ended` to look there.)"""

STEPS = (FIRST, SECOND)
"""What each version adds to the one before it: a new file takes every step, an older one those that it lacks."""

VERSION = len(STEPS)


def place(config: StoreConfig) -> Path | None:
    """The ledger's file (`:memory:` is none on disk), or None where there is no ledger."""
    if config.path is None:
        return None
    return Path(config.path).expanduser() if config.path else Path(user_data_dir("riverrun")) / "ledger.sqlite"


def connected(path: Path, riverrun: str, patience: float = OPEN_PATIENCE) -> sqlite3.Connection:
    """The ledger open for writing, made if it is not there: folder 0700, file 0600. `riverrun` is our version.

    Belongs to one process: a fork needs one of its own. Raises Failure with one line for what can't be used.
    """
    try:
        if str(path) != MEMORY:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass  # not opened beside SQLite: closing it would take SQLite's own locks away (POSIX)
    except OSError as error:
        raise _unusable(path, f"can't be opened: {error.strerror}") from None
    return _opened(path, partial(sqlite3.connect, path, timeout=patience), lambda db: _prepare(db, path, riverrun))


def read_only(path: Path) -> sqlite3.Connection:
    """An existing ledger open for reading, also while a server writes it. Raises Failure."""
    if not path.is_file():
        raise _nothing(path)
    place = f"{path.resolve().as_uri()}?mode=ro"
    return _opened(path, partial(sqlite3.connect, place, uri=True, timeout=OPEN_PATIENCE), lambda db: _seen(db, path))


def _opened(
    path: Path, connect: Callable[[], sqlite3.Connection], begin: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """A connection on which `begin` fails is closed again."""
    with ExitStack() as undo:
        try:
            db = connect()
            undo.callback(db.close)
            db.isolation_level = None  # transactions are our own
            begin(db)
        except sqlite3.DatabaseError as error:
            raise _unusable(path, f"can't be used by SQLite: {error}") from None
        undo.pop_all()
    return db


def _seen(db: sqlite3.Connection, path: Path) -> None:
    version = _version(db, path)
    if not version:
        raise _nothing(path)
    if version < VERSION:
        raise Failure(
            Cause.BAD_REQUEST,
            f"The ledger {path} is of version {version}; `riverrun serve` makes it one of {VERSION} when it starts. "
            "Start it once, then ask again.",
        )


def _prepare(db: sqlite3.Connection, path: Path, riverrun: str) -> None:
    """Takes the write lock before it looks, so that of many processes that start at once one makes the tables."""
    db.execute("BEGIN IMMEDIATE")
    version = _version(db, path)
    for step in STEPS[version:]:
        for statement in _statements(step):
            db.execute(statement)
    if version < VERSION:
        db.execute("DELETE FROM ledger_version")
        db.execute("INSERT INTO ledger_version VALUES (?, ?)", (VERSION, riverrun))
    db.execute("COMMIT")
    _write_ahead(db)
    db.execute("PRAGMA synchronous = NORMAL")  # survives the process; a commit before a power cut may be missing
    db.execute(f"PRAGMA busy_timeout = {WRITE_PATIENCE * 1000:.0f}")


def _write_ahead(db: sqlite3.Connection) -> None:
    """Switching needs a moment without any other process, for which SQLite does not wait by itself.

    Each try waits in the transaction for whoever writes; those who open at the same time are soon done.
    """
    for tries in range(OPEN_TRIES, -1, -1):
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not tries:
                raise
            db.execute("BEGIN IMMEDIATE")
            db.execute("COMMIT")
        else:
            return


def _version(db: sqlite3.Connection, path: Path) -> int:
    """That of the tables, 0 where there are none. Raises Failure for a newer one, and for a database of something
    else."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "ledger_version" not in tables:
        if tables:
            raise _unusable(path, "is a database of something else")
        return 0
    version, riverrun = db.execute("SELECT version, riverrun FROM ledger_version").fetchone() or (VERSION, "")
    if version > VERSION:
        raise _unusable(
            path, f"was made by a newer riverrun, {riverrun} (it is of version {version}, and this one knows {VERSION})"
        )
    return int(version)


def _statements(script: str) -> list[str]:
    """One by one: `executescript` would end the transaction first."""
    found, rest = [], ""
    for line in script.strip().splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found


def _nothing(path: Path) -> Failure:
    return Failure(Cause.BAD_REQUEST, f"There is nothing in the ledger {path} yet: `riverrun serve` writes it.")


def _unusable(path: Path, why: str) -> Failure:
    advice = 'Name another file under [store] (url = "sqlite:PATH"), or switch the ledger off (url = "off")'
    return Failure(Cause.BAD_REQUEST, f"The ledger {path} {why}. {advice}.")
