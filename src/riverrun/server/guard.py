"""Who may talk to this server: by which name (Host), from which web page (Origin), with which key.

Pure decisions on header values (SEC4, SEC5, SEC13); no request, no socket. Name and page are refused by returning the
Failure; a key gives its tenant, or raises one. A loopback server without keys is safe only because of the first two: a
web page anywhere can make a browser send requests to 127.0.0.1, under a name of its own (DNS rebinding).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from riverrun.config.tenants import KEYLESS
from riverrun.config.values import digest
from riverrun.failures import Cause, Failure

Header = tuple[bytes, bytes]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
AUTHORITY = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
DEFAULT_PORTS = {"http": "80", "https": "443"}

REMEMBERED = 64
"""Pairs of Host and Origin whose judgement is kept; each is no longer than a head may be."""

UNWELCOME = {
    "host_not_allowed": "This server does not answer to the Host of your request. Use http://127.0.0.1, or add the "
    "name to `hosts` under [server].",
    "origin_not_allowed": "Web pages of your Origin may not use this server. Add it to `origins` under [server] to "
    "allow it.",
}

CHALLENGE: Header = (b"www-authenticate", b"Bearer")
"""Goes with each 401 (RFC 9110, 11.6.1)."""

ALLOWED_HEADERS = (
    "accept",
    "authorization",
    "cache-control",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "openai-organization",
    "openai-project",
    "x-client-request-id",
)
ALLOWED_PREFIXES = ("x-stainless-", "x-riverrun-")
"""What SDKs in a browser send beside: runtime facts and retry counts, and our own settings."""

EXPOSED_HEADERS = b", ".join(
    (
        b"x-request-id",
        b"x-should-retry",
        b"retry-after",
        b"location",
        b"idempotent-replayed",
        b"x-riverrun-target",
        b"x-riverrun-dropped",
    )
)


def authority(text: str, scheme: str = "http") -> tuple[str, str] | None:
    """Name and port of a Host value, in lower case, the port as the scheme implies it; None when it is neither."""
    match = AUTHORITY.fullmatch(text.lower()) if text.isascii() else None
    return (match["name"], match["port"] or DEFAULT_PORTS[scheme]) if match else None


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of that origin was served by that Host. Behind a TLS proxy the origin alone knows the scheme."""
    scheme, colon, rest = origin.lower().partition("://")
    if not colon or scheme not in DEFAULT_PORTS:
        return False
    mine = authority(host, scheme)
    return mine is not None and mine == authority(rest, scheme)


class Keys:
    """The keys that open this server, as digests: a memory dump or a log line holds none of them.

    A key is looked up by its digest, and no key is kept beyond its request. The time that takes says nothing about a
    key that is near: a dict compares by a hash of the SHA-256 that is keyed anew in each process, and only then bytes.
    `owners` are the tenants by their keys' digests (`Config.owners`).
    """

    def __init__(self, owners: Mapping[bytes, str] | None = None) -> None:
        self._owners = dict(owners or {})

    def __bool__(self) -> bool:
        return bool(self._owners)

    def __repr__(self) -> str:
        return f"Keys({len(self._owners)})"

    def tenant(self, authorization: str | None) -> str:
        """Whose key the Authorization value holds; where there are no keys at all, everyone is the tenant "local".

        Raises Failure, a 401, for any other value.
        """
        if not self._owners:
            return KEYLESS
        scheme, _, key = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Failure(
                Cause.BAD_KEY,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            )
        tenant = self._owners.get(digest(key.strip()))
        if tenant is None:
            raise Failure(Cause.BAD_KEY, "Incorrect API key provided. Check the key that this server was started with.")
        return tenant


class Guard:
    """One server's rules. `loopback`: it listens on this machine only; `hosts` and `origins` are the configured ones.

    `hosts` are names, with or without a port, which is not looked at. `origins` are as browsers send them
    (`https://app.example`).
    """

    def __init__(
        self, *, loopback: bool, hosts: Iterable[str] = (), origins: Iterable[str] = (), keys: Keys | None = None
    ) -> None:
        named = {(authority(host) or (host.lower(), ""))[0] for host in hosts}
        self._names = named | LOOPBACK_NAMES if loopback or named else None
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._keys = Keys() if keys is None else keys  # keys that may come later are none now, and false
        self._unwelcome = lru_cache(REMEMBERED)(self._judge)

    def refusal(self, host: str | None, origin: str | None = None) -> Failure | None:
        """Whether a request to this Host, from a page of this Origin (None: not from a browser's page), may come in."""
        code = self._unwelcome(host, origin)
        return Failure(Cause.FORBIDDEN, UNWELCOME[code], code=code) if code else None

    def _judge(self, host: str | None, origin: str | None) -> str:
        """The code of the refusal, or nothing."""
        named = authority(host or "")
        if host is None or named is None or (self._names is not None and named[0] not in self._names):
            return "host_not_allowed"
        if origin is not None and not (self._listed(origin) or same_origin(origin, host)):
            return "origin_not_allowed"
        return ""

    def tenant(self, authorization: str | None) -> str:
        """Who asks, by the Authorization value. Raises Failure, a 401, which goes out with CHALLENGE."""
        return self._keys.tenant(authorization)

    def cors(self, origin: str | None) -> list[Header]:
        """What an answer carries so that an allowed page may read it; nothing for others, and never `*`."""
        if not self._origins:
            return []
        if origin is None or not self._listed(origin):
            return [(b"vary", b"origin")]
        return [
            (b"vary", b"origin"),
            (b"access-control-allow-origin", origin.encode("ascii")),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
        ]

    def preflight(self, origin: str | None, requested: str | None, methods: Iterable[str]) -> list[Header]:
        """The headers of the 204 to an OPTIONS request; `requested` is its Access-Control-Request-Headers.

        It is asked without a key, so answer it after `refusal` and before `tenant`.
        """
        allow = ", ".join(methods).encode("ascii")
        if origin is None or not self._listed(origin):
            return [(b"allow", allow), *self.cors(origin)]
        names = {name.strip().lower() for name in (requested or "").split(",")}
        prefixed = {name for name in names if name.startswith(ALLOWED_PREFIXES) and re.fullmatch("[a-z0-9-]+", name)}
        return [
            *self.cors(origin),
            (b"access-control-allow-methods", allow),
            (b"access-control-allow-headers", ", ".join([*ALLOWED_HEADERS, *sorted(prefixed)]).encode("ascii")),
            (b"access-control-allow-private-network", b"true"),
            (b"access-control-max-age", b"600"),
        ]

    def _listed(self, origin: str) -> bool:
        return origin.isascii() and origin.lower() in self._origins
