"""`[[tenant]]`: who may come in beside the holders of `[server] api_keys`, and by which keys.

Knows whose a key is and which keys contradict each other; it never shows one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from riverrun.config.values import ClientKey

KEYLESS = "local"
"""The tenant of everyone, where a server has no keys at all."""

DEFAULT = "default"
"""The tenant of `[server] api_keys`."""

TenantName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class TenantConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[tenant]]`: a tenant sees its own answers and nobody else's (SEC6), whichever of its keys is used."""

    name: TenantName
    keys: Annotated[tuple[ClientKey, ...], Meta(min_length=1)]


def owners(api_keys: Iterable[ClientKey], tenants: Iterable[TenantConfig]) -> dict[bytes, str]:
    """Whose each key is, by its SHA-256 digest."""
    return {key.digest: DEFAULT for key in api_keys} | {key.digest: each.name for each in tenants for key in each.keys}


def contradictions(api_keys: Iterable[ClientKey], tenants: Iterable[TenantConfig]) -> Iterator[str]:
    """What is wrong between the tenants. Keys are named by their places; plain or hashed, the same key is the same."""
    named: set[str] = set()
    holders = {key.digest: "server.api_keys" for key in api_keys}
    for tenant in tenants:
        if tenant.name in (KEYLESS, DEFAULT):
            yield f"tenant {tenant.name!r}: this name is riverrun's own; choose another"
        if tenant.name in named:
            yield f"tenant: the name {tenant.name!r} is given twice; put all its keys into one section"
        named.add(tenant.name)
        place = f"tenant {tenant.name!r}"
        for index, key in enumerate(tenant.keys):
            holder = holders.setdefault(key.digest, place)
            if holder != place:
                yield f"{place}: keys[{index}] also opens {holder}; a key belongs to one tenant"
