"""Rows of the ledger as SQL: all of one transaction at once, or each for itself. Knows no file and no time.

By parameters only (SEC3).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from riverrun.store.contract import Attempted, Entry, Reserved, Settled

log = logging.getLogger("riverrun.store")

Values = tuple[object, ...]

INSERT: dict[type[Entry], str] = {
    Reserved: "INSERT INTO reserve VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    Attempted: "INSERT INTO attempt VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    Settled: "INSERT INTO settle VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
}

WHOLE = "INSERT INTO whole VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
"""An ending with its call, and the request where that is there."""

UNFIT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeError,
)
"""A row that no ledger takes, whatever the state of the file."""


class Particular(Exception):
    """Some rows of a transaction are not like the others: they have to be looked at one by one."""


def together(db: sqlite3.Connection, rows: Sequence[Entry]) -> None:
    """All rows, where each fits and is new. Raises Particular or one of UNFIT where not; some are written then."""
    for insert, values in gathered(rows):
        if values and db.executemany(insert, values).rowcount != len(values):
            raise Particular


def gathered(rows: Iterable[Entry]) -> list[tuple[str, list[Values]]]:
    """By how they are inserted. An ending takes along its call, and the request, where they are there: one row then.

    Raises Particular where two rows have the same name.
    """
    reserved: dict[str, Reserved] = {}
    attempted: dict[tuple[str, int], Attempted] = {}
    settled: list[Values] = []
    whole: list[Values] = []
    astuple = msgspec.structs.astuple
    for row in rows:
        if isinstance(row, Settled):
            call = attempted.pop((row.id, row.number), None)
            if call is None:
                settled.append(astuple(row))
            else:
                whole.append(astuple(row) + _beginnings(reserved.pop(row.id, None), call))
        elif isinstance(row, Attempted):
            if attempted.setdefault((row.id, row.number), row) is not row:
                raise Particular
        elif reserved.setdefault(row.id, row) is not row:
            raise Particular
    return [
        (INSERT[Reserved], [astuple(row) for row in reserved.values()]),
        (INSERT[Attempted], [astuple(row) for row in attempted.values()]),
        (INSERT[Settled], settled),
        (WHOLE, whole),
    ]


def one_by_one(db: sqlite3.Connection, rows: Iterable[Entry]) -> int:
    """Each as a row of its own; returns how many no ledger takes. Those, and known ones, are named in the log."""
    return sum(not _inserted(db, row) for row in rows)


def _beginnings(request: Reserved | None, call: Attempted) -> Values:
    if request is None:
        return (None, None, None, call.target, call.at)
    return (request.tenant, request.model, request.at, call.target, call.at)


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


def _name(row: Entry) -> str:
    number = "" if isinstance(row, Reserved) else f" {row.number}"
    return f"{type(row).__name__.lower()} {row.id}{number}"
