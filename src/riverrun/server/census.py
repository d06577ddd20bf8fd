"""How many connections there are, in all and of each address, and whether one more is welcome (SEC12). No sockets."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, ip_address

from riverrun.failures import Cause, Failure
from riverrun.server.limits import HostLimits


def neighbourhood(address: str) -> str | None:
    """Who an address belongs to: itself for IPv4, its /64 for IPv6, None for loopback and for what is no address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return None
    return str(ip) if isinstance(ip, IPv4Address) else ip.packed[:8].hex()


class Census:
    """Counts connections. Each `enter` that was not refused is matched by one `leave` with the same address."""

    def __init__(self, limits: HostLimits) -> None:
        self.limits = limits
        self.total = 0
        self.of: Counter[str] = Counter()

    def enter(self, address: str | None) -> Failure | None:
        """Counts one more, or says why not: 503 when full, 429 when this address has its share."""
        if self.total >= self.limits.connections:
            message = "This server has as many connections as it can hold. Try again shortly."
            return Failure(Cause.OVERLOADED, message, retry_after=1)
        key = self._key(address)
        if key is not None:
            if self.of[key] >= self.limits.per_address:
                return Failure(
                    Cause.OVERLOADED,
                    f"Your address has {self.limits.per_address} connections open, the most allowed. "
                    "Reuse connections, or close some.",
                    status=429,
                    type="rate_limit_error",
                    code="too_many_connections",
                    retry_after=1,
                )
            self.of[key] += 1
        self.total += 1
        return None

    def leave(self, address: str | None) -> None:
        """One connection less."""
        self.total -= 1
        key = self._key(address)
        if key is not None:
            self.of[key] -= 1
            if not self.of[key]:
                del self.of[key]

    def _key(self, address: str | None) -> str | None:
        if address is None:
            return None
        return neighbourhood(address) or ("loopback" if self.limits.loopback_capped else None)
