"""AWS Signature Version 4, and where its keys come from. Pure: the clock and the environment are passed in.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
It signs what services other than S3 want: a path whose segments are encoded once more, and a body that is known.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import msgspec

ALGORITHM = "AWS4-HMAC-SHA256"
UNRESERVED = "-_.~"
SIGNED = re.compile(r"host|content-type|x-amz-.*")
"""The headers that must be signed; the others are for whoever stands between."""
REGION = re.compile(r"(?:^|\.)bedrock(?:-runtime|-mantle)?(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\.")

Headers = tuple[tuple[str, str], ...]


class Keys(msgspec.Struct, frozen=True):
    """An access key; `session` goes with one that was lent for a while."""

    access: str
    secret: str
    session: str | None = None

    def __repr__(self) -> str:
        return "Keys(…)"


class Scope(msgspec.Struct, frozen=True):
    """What a signature is good for."""

    region: str
    service: str = "bedrock"


def keys(key: str | None, environ: Mapping[str, str]) -> Keys | str | None:
    """Keys from "ACCESS:SECRET[:SESSION]", else from AWS_ACCESS_KEY_ID and its companions.

    A key without a colon, and AWS_BEARER_TOKEN_BEDROCK, is a Bedrock API key: that is a bearer's, and returned as it
    is. None where nothing is set.
    """
    key = key or environ.get("AWS_BEARER_TOKEN_BEDROCK")
    if key is not None:
        access, colon, rest = key.partition(":")
        secret, _, session = rest.partition(":")
        return Keys(access, secret, session or None) if colon else key
    named = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not named[0] or not named[1]:
        return None
    return Keys(named[0], named[1], environ.get("AWS_SESSION_TOKEN") or None)


def region(host: str, environ: Mapping[str, str]) -> str | None:
    """The region that a host of Bedrock names, else AWS_REGION, else AWS_DEFAULT_REGION."""
    named = REGION.search(host)
    return named[1] if named else environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")


def signed(
    method: str, path: str, headers: Mapping[str, str], body: bytes, keys: Keys, scope: Scope, now: float
) -> Headers:
    """The headers that sign a request: x-amz-date, authorization, and x-amz-security-token with a session.

    `headers` are those that will be sent, by lower-case names, `host` among them; `path` may hold a query, and is as
    it will be sent. `now` is in Unix seconds; the service lets it be off by five minutes.
    """
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": moment, **({"x-amz-security-token": keys.session} if keys.session else {})}
    covered = {name: " ".join(value.split()) for name, value in {**headers, **added}.items() if SIGNED.fullmatch(name)}
    names = ";".join(sorted(covered))
    place = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = f"{ALGORITHM}\n{moment}\n{place}\n{_hash(_canonical(method, path, covered, names, body).encode())}"
    signature = _hmac(_signing_key(keys.secret, place), text).hex()
    shown = f"{ALGORITHM} Credential={keys.access}/{place}, SignedHeaders={names}, Signature={signature}"
    return (*added.items(), ("authorization", shown))


def _canonical(method: str, path: str, covered: Mapping[str, str], names: str, body: bytes) -> str:
    bare, _, query = path.partition("?")
    lines = "".join(f"{name}:{covered[name]}\n" for name in sorted(covered))
    return "\n".join((method, quote(bare or "/", safe="/" + UNRESERVED), _query(query), lines, names, _hash(body)))


def _query(query: str) -> str:
    """Its pairs, each encoded, in the order of their encoded forms."""
    pairs = (each.partition("=") for each in query.split("&") if each)
    encoded = ((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _encoded(part: str) -> str:
    return quote(unquote(part), safe=UNRESERVED)


def _signing_key(secret: str, place: str) -> bytes:
    """A chain over date, region, service and the last word, so that a key that leaks is good for one day."""
    key = f"AWS4{secret}".encode()
    for part in place.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
