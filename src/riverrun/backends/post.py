"""Writes the head of the one kind of request that we send: a POST with a JSON body, answered by one stream."""

from __future__ import annotations

from functools import lru_cache

from riverrun import __version__
from riverrun.backends.address import Address
from riverrun.dialects.contract import Outgoing

DEFAULTS = {
    "user-agent": f"riverrun/{__version__}",
    "accept": "text/event-stream, application/json",
    "accept-encoding": "identity",
    "content-type": "application/json",
}


def head(address: Address, prefix: str, outgoing: Outgoing, key: str | None) -> bytes:
    """The request line and headers, ready to send; a dialect's headers take the place of ours.

    Raises ValueError for a path or header that would break the message apart (SEC9); its text holds no value.
    """
    fixed = _fixed(address.authority, prefix + outgoing.path, outgoing.headers, key)
    return b"%bcontent-length: %d\r\n\r\n" % (fixed, len(outgoing.body))


@lru_cache(maxsize=256)
def _fixed(authority: str, path: str, more: tuple[tuple[str, str], ...], key: str | None) -> bytes:
    """All but the body's length, which is the same for every request to a target."""
    if not path.isprintable() or " " in path:
        raise ValueError("its path holds a character that is not allowed in a URL")
    headers = {"host": authority, **DEFAULTS}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    headers.update((name.lower(), value) for name, value in more)
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), ""]
    text = "\r\n".join(lines)
    if not text.isascii() or text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("its key or a header holds a line break or a character outside ASCII")
    return text.encode("ascii")
