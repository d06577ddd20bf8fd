"""How the keys in Redis are called."""

from __future__ import annotations

from hashlib import sha256

ORPHANS = "orphans"
"""An owner that never lives: whose tapes were given up by an owner that does."""


class Names:
    """All start with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.encode()
        self.owners = self._of("owners")
        """The set of owners, dead ones too until they are buried."""

    def tape(self, id: str) -> bytes:
        """The stream of a tape's records."""
        return self._of("tape", id)

    def id(self, tape: bytes) -> str:
        """The id of the tape that has this stream."""
        return tape[len(self._of("tape")) + 1 :].decode("utf-8", "surrogateescape")

    def metadata(self, id: str) -> bytes:
        return self._of("metadata", id)

    def gone(self, id: str) -> bytes:
        """Outlives the tape, and says whose it was."""
        return self._of("gone", id)

    def cancelled(self, id: str) -> bytes:
        """Somebody asked for its end, in case its owner died before it heard."""
        return self._of("cancelled", id)

    def key(self, digest: str) -> bytes:
        """An idempotency key."""
        return self._of("key", digest)

    def stored(self, tenant: str) -> bytes:
        """The tenant's stored completions in the order of their making."""
        return self._of("stored", mark(tenant))

    def note(self, name: str) -> bytes:
        return self._of("note", name)

    def lease(self, owner: str) -> bytes:
        """There as long as the owner lives."""
        return self._of("owner", owner)

    def owned(self, owner: str) -> bytes:
        """The set of the ids of its live tapes."""
        return self._of("owned", owner)

    def ear(self, owner: str) -> bytes:
        """The stream of what others tell it."""
        return self._of("ear", owner)

    def _of(self, kind: str, name: str = "") -> bytes:
        return self.prefix + (f"{kind}:{name}" if name else kind).encode("utf-8", "surrogateescape")


def mark(tenant: str) -> str:
    """A tenant where only equality counts."""
    return sha256(tenant.encode("utf-8", "surrogateescape")).hexdigest()
