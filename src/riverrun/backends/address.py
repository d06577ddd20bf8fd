"""Where an upstream listens: knows the forms of a target's base_url, resolves no name and opens no socket."""

from __future__ import annotations

import os
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import msgspec

PORTS = {"http": 80, "https": 443}
LONGEST_SOCKET = 103  # bytes; Linux takes 107, macOS 103
FORMS = "write http(s)://host[:port]/prefix or unix:/path/of.sock:/prefix"


class Address(msgspec.Struct, frozen=True, cache_hash=True):
    """One listener; requests to equal addresses share connections. `socket` is a Unix socket's path, "" for TCP."""

    host: str
    port: int = 0
    tls: bool = False
    socket: str = ""

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110 7.2): without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.socket or self.port == PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


@lru_cache(maxsize=1024)
def parse(base_url: str) -> tuple[Address, str]:
    """The address and the path prefix of a base_url. Raises ValueError, whose text never repeats the URL."""
    if base_url.startswith("unix:"):
        return _unix(base_url.removeprefix("unix:"))
    url = urlsplit(base_url)
    _check(url)
    host = url.hostname or ""
    tls = url.scheme == "https"
    return Address(host, url.port or PORTS[url.scheme], tls), url.path.rstrip("/")


def _unix(rest: str) -> tuple[Address, str]:
    socket, colon, prefix = rest.rpartition(":/")
    if not colon:
        socket, prefix = rest, ""
    if not socket.startswith("/"):
        raise ValueError(f"its base_url names no absolute socket path; {FORMS}")
    if "\0" in socket or len(os.fsencode(socket)) > LONGEST_SOCKET:
        raise ValueError(f"its base_url's socket path is longer than {LONGEST_SOCKET} bytes; choose a shorter folder")
    return Address("localhost", socket=socket), f"/{prefix}".rstrip("/")


def _check(url: SplitResult) -> None:
    if url.scheme not in PORTS or not url.hostname:
        raise ValueError(f"its base_url has no scheme or host that is known; {FORMS}")
    if not url.hostname.isascii():
        raise ValueError("its base_url has a host outside ASCII; write it in its xn-- form")
    if any(not 0 < len(label) < 64 for label in url.hostname.removesuffix(".").split(".")):
        raise ValueError("its base_url has a host that is no valid name")
    if "@" in url.netloc or url.query or url.fragment:
        raise ValueError(f"its base_url holds a user, a query or a fragment; {FORMS}, and give a key as `key`")
