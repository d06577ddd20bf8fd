"""`[store]`: where the ledger is kept."""

from __future__ import annotations

import msgspec

SQLITE = "sqlite:"
OFF = "off"


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raises ValueError for a place that riverrun can't keep a ledger in. The message does not repeat the URL."""

    url: str = SQLITE
    """"sqlite:PATH", without a path ledger.sqlite in the user's data folder; or "off"."""

    def __post_init__(self) -> None:
        if self.url != OFF and not self.url.startswith(SQLITE):
            raise ValueError('Expected "sqlite:PATH", "sqlite:" or "off" as url')

    @property
    def path(self) -> str | None:
        """What follows `sqlite:`, "" for the default place; None: there is no ledger."""
        return None if self.url == OFF else self.url.removeprefix(SQLITE)
