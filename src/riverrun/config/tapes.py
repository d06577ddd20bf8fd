"""`[tapes]`: where streams are kept while they run and for a while after, and how much room they may take."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from riverrun.config.values import Duration, Secret

SCHEMES = ("memory:", "file:", "redis://", "rediss://", "redis+unix://", "unix://")

Positive = Annotated[int, Meta(ge=1)]


class TapesUrl(Secret):
    """Where tapes are: "memory:", "file:PATH", "redis://HOST:PORT/DB". A secret, for it may hold a password."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        super().__init__(text)
        if not text.startswith(SCHEMES):
            raise ValueError('Expected "memory:", "file:PATH" or "redis://HOST:PORT/DB"')
        if text == "file:":
            raise ValueError('Expected a folder after "file:"')

    @property
    def kind(self) -> str:
        """memory, file or redis."""
        scheme = self.reveal().partition(":")[0]
        return scheme if scheme in ("memory", "file") else "redis"


class TapesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[tapes]`. Sizes are in bytes."""

    url: TapesUrl = TapesUrl("memory:")
    """memory: survives clients that drop. file: survives this process too, and serves all workers of this machine.
    redis: survives the loss of a replica, and any replica can serve the rest."""
    memory: Positive = 256 * 1024 * 1024
    """Of events in one process; beyond it they move to files."""
    disk: Positive = 4 * 1024 * 1024 * 1024
    """Of events in files; beyond it the oldest tapes that have ended go, then new streams are 503."""
    stream_limit: Positive = 32 * 1024 * 1024
    """Of events in one stream."""
    keep: Duration = Duration(600)
    """How long a tape is kept after its ending."""
    keep_keyed: Duration = Duration(24 * 3600)
    """The same with an Idempotency-Key, and how long the key is known."""
    keep_stored: Duration = Duration(30 * 24 * 3600)
    """The same with `store`."""
