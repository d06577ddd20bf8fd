"""Writes the head of a request, nearly always of the one kind that we send: a POST with a JSON body.

The other kind is the GET for the rest of a stream of another riverrun's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from random import Random

from riverrun import __version__
from riverrun.backends.address import Address
from riverrun.dialects.contract import Outgoing

DEFAULTS = {
    "user-agent": f"riverrun/{__version__}",
    "accept": "text/event-stream, application/json",
    "accept-encoding": "identity",
    "content-type": "application/json",
}

Headers = tuple[tuple[str, str], ...]


def head(address: Address, prefix: str, outgoing: Outgoing, shown: Headers = (), named: bytes = b"") -> bytes:
    """The request line and headers, ready to send. `shown` are those with credentials, `named` those of `idempotent`.

    Raises ValueError for a path or header that would break the message apart (SEC9); its text holds no value.
    """
    fixed = _fixed(address, prefix + outgoing.path, outgoing.headers)
    return b"%b%b%bcontent-length: %d\r\n\r\n" % (fixed, lines(shown), named, len(outgoing.body))


def idempotent(random: Random) -> bytes:
    """A call's own name, and that it would come back: what another riverrun has to know before anything breaks.

    They are whole lines of a head already.
    """
    key = random.randbytes(16).hex().encode("ascii")
    return b"idempotency-key: " + key + b"\r\nx-riverrun-on-disconnect: grace\r\n"


def rest_of(completion: str, last: int, address: Address, prefix: str, shown: Headers) -> bytes:
    """The whole request for the events of a completion after `last`, under our own base URL. Raises ValueError."""
    named = {
        "host": address.authority,
        "user-agent": DEFAULTS["user-agent"],
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "last-event-id": str(last),
        **dict(shown),
    }
    return begun("GET", f"{prefix}/chat/completions/{completion}") + lines(named.items()) + b"\r\n"


@lru_cache(maxsize=256)
def headers(address: Address, more: Headers) -> Mapping[str, str]:
    """What is sent but the credentials and the length, by lower-case names; a dialect's take the place of ours."""
    return {"host": address.authority, **DEFAULTS, **{name.lower(): value for name, value in more}}


@lru_cache(maxsize=256)
def _fixed(address: Address, path: str, more: Headers) -> bytes:
    """All that is the same for every request to a target. Credentials are not: none outlives what was replaced."""
    return begun("POST", path) + lines(headers(address, more).items())


def begun(method: str, path: str) -> bytes:
    """The request line. Raises ValueError for a path with characters that no URL may have."""
    if not path.isprintable() or not path.isascii() or " " in path:
        raise ValueError("its path holds a character that is not allowed in a URL")
    return f"{method} {path} HTTP/1.1\r\n".encode("ascii")


def lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """The lines of these headers. Raises ValueError where one would be more than a line."""
    written = [f"{name}: {value}\r\n" for name, value in headers]
    text = "".join(written)
    if not text.isascii() or text.count("\n") != len(written) or text.count("\r") != len(written) or "\0" in text:
        raise ValueError("its key or a header holds a line break or a character outside ASCII")
    return text.encode("ascii")
