"""When two requests are the same one: the digests behind `Idempotency-Key`.

Knows how a request is compared and what a key may be; what is done with two that are alike is the runs' business.
Only digests are kept: a key is a secret of its caller, a body is content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from riverrun.failures import bad_request
from riverrun.wire.jsonvalue import JsonValue

HEADER = "Idempotency-Key"

LONGEST_KEY = 255
"""Characters, as at Stripe, whose header this is."""

APART = frozenset({"stream", "stream_options", "user"})
"""How an answer travels, and for whom it is asked, do not make it another answer."""


def digest(body: Mapping[str, JsonValue]) -> str:
    """What the request asks for: hex SHA-256, equal for bodies that mean the same. Compare two by `alike`.

    Left out are `stream` and `user`; `stream_options` shape a stream, so where `stream` is true they have a digest of
    their own behind a `+`. The order of keys, white space and escapes do not matter, a `null` does. Numbers count by
    their value: 1, 1.0 and 1e0 are equal, because JavaScript writes 1 where Python writes 1.0, and RFC 8785 (3.2.2.3)
    canonicalises them so; no two numbers that differ are equal, however large.
    """
    asked = _hex({name: value for name, value in body.items() if name not in APART})
    return f"{asked}+{_hex(body.get('stream_options'))}" if body.get("stream") is True else asked


def alike(one: str, other: str) -> bool:
    """Whether two digests are of one request: their streams' options count where both stream."""
    asked, streams, options = one.partition("+")
    same, streams_too, others = other.partition("+")
    return asked == same and (not (streams and streams_too) or options == others)


def key_digest(tenant: str, key: str) -> str:
    """SHA-256 of a tenant's key, as 64 hex digits. Two tenants' keys never meet: the tenant's length stands first."""
    owner = tenant.encode("utf-8", "surrogatepass")
    return sha256(b"%d:%b%b" % (len(owner), owner, key.encode("utf-8", "surrogatepass"))).hexdigest()


def check_key(key: str) -> None:
    """Raises Failure (400) for an idempotency key that can't be one. Its text never repeats the key."""
    fault = None
    if not key:
        fault = "it is empty"
    elif len(key) > LONGEST_KEY:
        fault = f"it has {len(key)} characters, and {LONGEST_KEY} are allowed"
    elif not (key.isascii() and key.isprintable()):
        fault = "it holds a character that is not printable ASCII"
    if fault is not None:
        raise bad_request(f"Invalid {HEADER} header: {fault}. Send a random UUID.", HEADER, "invalid_idempotency_key")


def _hex(value: JsonValue) -> str:
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def _plain(value: JsonValue) -> JsonValue:
    """The value with every whole number as an integer."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
