"""Shows an upstream who we are: the one place that turns a key into headers, and asks for tokens.

A row's `auth` names the way, and each way is one function:

    bearer         `authorization: Bearer KEY`; without a key, nothing
    header:NAME    the key as the value of that header; without a key, nothing
    none           nothing, even with a key
    sigv4          the key is ACCESS:SECRET[:SESSION] or a Bedrock API key, else AWS's own variables say it
    google         the key is an access token, else GOOGLE_APPLICATION_CREDENTIALS or the metadata server gives one
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from riverrun.backends import credentials_sigv4, post
from riverrun.backends.address import Address
from riverrun.backends.credentials_google import Tokens
from riverrun.backends.no_credentials import NoCredentials
from riverrun.backends.pool import Pool
from riverrun.dialects.contract import Outgoing
from riverrun.failures import Failure
from riverrun.routing.target import Target

Headers = tuple[tuple[str, str], ...]

SHORTEST_SECRET = 8
"""What is shorter is no secret, and might stand in any text."""


class Unsigned(msgspec.Struct, frozen=True):
    """A POST to be signed: what goes to an address, under the prefix of its base URL."""

    address: Address
    prefix: str
    outgoing: Outgoing


class Credentials:
    """The credentials of every target. `environ` is this process's own; no request adds to it (SEC1)."""

    def __init__(self, pool: Pool, now: Callable[[], float], environ: Mapping[str, str]) -> None:
        """`now` gives Unix seconds: AWS signs the hour, and Google's tokens end at one."""
        self._now = now
        self._environ = environ
        self._tokens = Tokens(pool, now, environ)
        self._ways: dict[str, Callable[[Target, Unsigned], Headers]] = {
            "bearer": _bearer,
            "header": _header,
            "none": lambda target, request: (),
            "sigv4": self._sigv4,
            "google": self._google,
        }

    def sign(self, target: Target, request: Unsigned) -> Headers:
        """The headers to add. Raises NoCredentials where none can be shown, ValueError for an `auth` that is none."""
        way = self._ways.get(target.auth.partition(":")[0])
        if way is None:
            raise ValueError(
                'its row has an unknown `auth`; write "bearer", "header:NAME", "sigv4", "google" or "none"'
            )
        return way(target, request)

    def ready(self, target: Target) -> bool:
        """Whether `sign` may be called at once; else only after `renew`."""
        return target.auth != "google" or target.key is not None or self._tokens.fresh

    async def renew(self) -> None:
        """Raises NoCredentials where there is no token to be had."""
        await self._tokens.renewed()

    def close(self) -> None:
        self._tokens.close()

    def _sigv4(self, target: Target, request: Unsigned) -> Headers:
        keys = credentials_sigv4.keys(target.key, self._environ)
        if keys is None:
            raise NoCredentials(
                "no AWS credentials were found; give ACCESS:SECRET or a Bedrock API key as its key, or set "
                "AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if isinstance(keys, str):
            return (("authorization", f"Bearer {keys}"),)
        region = credentials_sigv4.region(request.address.host, self._environ)
        if region is None:
            raise NoCredentials("its base_url names no AWS region, and AWS_REGION is not set")
        scope, outgoing = credentials_sigv4.Scope(region), request.outgoing
        path, headers = request.prefix + outgoing.path, post.headers(request.address, outgoing.headers)
        return credentials_sigv4.signed("POST", path, headers, outgoing.body, keys, scope, self._now())

    def _google(self, target: Target, request: Unsigned) -> Headers:
        return (("authorization", f"Bearer {target.key or self._tokens.token}"),)


def _bearer(target: Target, request: Unsigned) -> Headers:
    return (("authorization", f"Bearer {target.key}"),) if target.key is not None else ()


def _header(target: Target, request: Unsigned) -> Headers:
    name = target.auth.partition(":")[2]
    if not name:
        raise ValueError('its row names no header for its key; write auth = "header:NAME"')
    return ((name.lower(), target.key),) if target.key is not None else ()


def hush(failure: Failure, target: Target, shown: Headers) -> None:
    """Takes our credentials out of its message: an upstream may have repeated there what we showed (SEC5)."""
    parts = [part for _, value in shown for part in (value, value.rpartition(" ")[2], value.rpartition("=")[2])]
    secrets = {*parts, *(target.key or "").split(":"), target.key or ""}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            failure.message = failure.message.replace(secret, "[secret]")
    failure.args = (failure.message,)
