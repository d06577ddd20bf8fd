"""The ledger as runs see it: append-only rows `reserve → attempt(n) → settle`. Knows neither file nor SQL.

Every call is cheap and none raises into a run: what can't be written now is kept, and written when it can be.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

Source = Literal["provider", "counted", "estimated"]
"""Who says how many tokens it was: the upstream; we, by counting what came; or we, by guessing."""


class Reserved(msgspec.Struct, frozen=True):
    """A run begins. `id` is the completion's, `model` the name that was asked for, `at` in Unix seconds."""

    id: str
    tenant: str
    model: str
    at: float


class Attempted(msgspec.Struct, frozen=True):
    """One upstream call of the run goes out. `number` counts the run's calls."""

    id: str
    number: int
    target: str
    at: float


class Settled(msgspec.Struct, frozen=True):
    """How that call ended and what it used. Exactly one for each attempt: a second one is not taken (V5).

    `ending` is "finished", "cancelled", the name of a cause in lower case, or "owner_died" where another process
    settles it. `cached_tokens` are among the prompt's, `reasoning_tokens` among the completion's.
    """

    id: str
    number: int
    ending: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    source: Source
    at: float
    client_request_id: str | None = None


Entry = Reserved | Attempted | Settled


class Ledger(Protocol):
    """Rows are on disk 50 ms after they came at the latest, and with `settle` at once where the ledger has been quiet
    for so long. So much can be lost by `kill -9`, and no more: a `settle` that is lost leaves its attempt open, which
    whoever takes the run over settles, or `settle_lost`."""

    @property
    def dropped(self) -> int:
        """Rows that could not be kept, since the start."""

    @property
    def waiting(self) -> int:
        """Rows that are not on disk yet."""

    def reserve(self, entry: Reserved) -> None: ...

    def attempt(self, entry: Attempted) -> None: ...

    def settle(self, entry: Settled) -> None: ...

    def open_attempts(self, id: str) -> list[Attempted]:
        """The attempts of a run that nobody has settled, in their order: whoever takes it over settles them."""

    def completed(self, id: str) -> int:
        """Completion tokens of the run's settled attempts."""

    def settle_lost(self, now: float) -> None:
        """Settles what nobody will: attempts of processes that died a day ago or more, of which no tape is left."""

    def close(self) -> None:
        """Writes what waits, and lets go of the file."""


class NoLedger:
    """`[store] url = "off"`: nothing is written down."""

    dropped = 0
    waiting = 0

    def reserve(self, entry: Reserved) -> None:
        pass

    def attempt(self, entry: Attempted) -> None:
        pass

    def settle(self, entry: Settled) -> None:
        pass

    def open_attempts(self, id: str) -> list[Attempted]:
        return []

    def completed(self, id: str) -> int:
        return 0

    def settle_lost(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass
