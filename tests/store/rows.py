"""Rows of one request, and what a ledger's file holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from riverrun.store.contract import Attempted, Ledger, Reserved, Settled, Source

AT = 1_800_000_000.0


def reserved(id: str, tenant: str = "acme", model: str = "fast", at: float = AT) -> Reserved:
    return Reserved(id, tenant, model, at)


def attempted(id: str, number: int = 1, target: str = "gpu1/q", at: float = AT) -> Attempted:
    return Attempted(id, number, target, at)


def settled(
    id: str, number: int = 1, source: Source = "provider", tokens: tuple[int, int] = (10, 5), at: float = AT
) -> Settled:
    return Settled(id, number, "finished", *tokens, 2, 1, source, at)


def whole(ledger: Ledger, id: str, tenant: str = "acme", model: str = "fast") -> None:
    ledger.reserve(reserved(id, tenant, model))
    ledger.attempt(attempted(id))
    ledger.settle(settled(id))


SHOWN = {
    "reserve": "* FROM request",
    "attempt": "* FROM call",
    "settle": f"{', '.join(Settled.__struct_fields__)} FROM ended ORDER BY at, id, number",
}
"""What the file holds of each kind, whether it has a row of its own or came with its ending."""


def stored(file: Path, kind: str) -> list[tuple[object, ...]]:
    """The rows of a kind as another process sees them now."""
    with closing(sqlite3.connect(file)) as db:
        return db.execute(f"SELECT {SHOWN[kind]}").fetchall()


def count(file: Path, kind: str) -> int:
    return len(stored(file, kind))
