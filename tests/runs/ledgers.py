"""Books for runs in tests: a ledger in memory, which can be looked at, or none."""

from __future__ import annotations

from riverrun.routing.table import Table
from riverrun.runs.books import Books
from riverrun.runs.labels import Labels
from riverrun.runs.metrics import Metrics
from riverrun.store.contract import Attempted, Ledger, NoLedger, Reserved, Settled

NOW = 1694268190.7


class Kept(NoLedger):
    """Every row, as it was written."""

    def __init__(self) -> None:
        self.reserved: list[Reserved] = []
        self.attempted: list[Attempted] = []
        self.settled: list[Settled] = []

    def reserve(self, entry: Reserved) -> None:
        self.reserved.append(entry)

    def attempt(self, entry: Attempted) -> None:
        self.attempted.append(entry)

    def settle(self, entry: Settled) -> None:
        self.settled.append(entry)

    def completed(self, id: str) -> int:
        return sum(row.completion_tokens for row in self.settled if row.id == id)

    def open_attempts(self, id: str) -> list[Attempted]:
        settled = {(row.id, row.number) for row in self.settled}
        return [row for row in self.attempted if row.id == id and (row.id, row.number) not in settled]


def books(ledger: Ledger | None = None) -> Books:
    table = Table((), {}, lambda name: None)
    return Books(ledger or NoLedger(), Metrics(Labels(lambda: table)), lambda: NOW)
