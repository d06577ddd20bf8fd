"""Google's access tokens: fetched once for all who wait, and kept until shortly before they end.

They come from the file that GOOGLE_APPLICATION_CREDENTIALS names (a service account's key, or a user's login made by
gcloud), and without it from the metadata server of Google's own machines. https://google.aip.dev/auth/4110
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from riverrun.backends.fetch import fetch
from riverrun.backends.no_credentials import NoCredentials
from riverrun.backends.pool import Pool
from riverrun.wire.jsonvalue import JsonObject

EARLY = 300.0
"""Seconds before its end at which a token is renewed; the metadata server gives a new one from then on."""
FETCH_SECONDS = 10.0
LIFE = 3600
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_URL = "https://oauth2.googleapis.com/token"
METADATA_HOST = "metadata.google.internal"
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
FILE = "GOOGLE_APPLICATION_CREDENTIALS"


class Account(msgspec.Struct, frozen=True):
    """A credentials file: a service account's, or a user's."""

    type: str
    token_uri: str = TOKEN_URL
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""

    def __repr__(self) -> str:
        return f"Account(type={self.type!r})"


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class Tokens:
    """This process's token: there is one identity, that of the environment."""

    def __init__(self, pool: Pool, now: Callable[[], float], environ: Mapping[str, str]) -> None:
        self.token = ""
        self._until = 0.0  # Unix seconds
        self._pool = pool
        self._now = now
        self._environ = environ
        self._fetching: asyncio.Task[_Granted] | None = None

    @property
    def fresh(self) -> bool:
        return self._now() < self._until - EARLY

    async def renewed(self) -> None:
        """Returns when `token` may be used. Whoever leaves does not stop the fetch, which others wait for.

        Raises NoCredentials.
        """
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        fetching = self._fetching
        await asyncio.wait({fetching})
        if fetching.cancelled():
            raise NoCredentials("the server is shutting down")
        fetching.result()

    def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()

    def _fetched(self, task: asyncio.Task[_Granted]) -> None:
        """Before any waiter wakes: callbacks run in the order in which they were added."""
        self._fetching = None
        if not task.cancelled() and task.exception() is None:
            granted = task.result()
            self.token = granted.access_token
            self._until = self._now() + granted.expires_in

    async def _fetch(self) -> _Granted:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                status, body = await self._asked()
        except (OSError, ValueError):  # TimeoutError is an OSError
            raise NoCredentials(f"no access token could be fetched from Google; check the network and {FILE}") from None
        if status != 200:
            raise NoCredentials(
                f"Google answered {status} when it was asked for an access token; check this account and the clock"
            )
        try:
            return msgspec.json.decode(body, type=_Granted)
        except msgspec.DecodeError:
            raise NoCredentials("Google's answer holds no access token") from None

    async def _asked(self) -> tuple[int, bytes]:
        named = self._environ.get(FILE)
        if not named:
            host = self._environ.get("GCE_METADATA_HOST") or METADATA_HOST
            return await fetch(self._pool, "GET", f"http://{host}{METADATA_PATH}", {"metadata-flavor": "Google"})
        account = read(Path(named))
        form = urlencode(grant(account, self._now())).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return await fetch(self._pool, "POST", account.token_uri, kind, form)


def read(path: Path) -> Account:
    """The credentials in a file. Raises NoCredentials."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Account)
    except OSError as error:
        raise NoCredentials(f"the file that {FILE} names can't be read ({error.strerror})") from None
    except msgspec.DecodeError:
        raise NoCredentials(f"the file that {FILE} names holds no credentials of Google") from None


def grant(account: Account, now: float) -> dict[str, str]:
    """The form that asks for a token. Raises NoCredentials for a kind of account that is not known."""
    if account.type == "service_account":
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion(account, int(now))}
    if account.type == "authorized_user":
        names = ("client_id", "client_secret", "refresh_token")
        return {"grant_type": "refresh_token", **{name: getattr(account, name) for name in names}}
    raise NoCredentials(f"the file that {FILE} names is of another type than service_account and authorized_user")


def assertion(account: Account, now: int) -> str:
    """A JWT that a service account signs with RS256 (RFC 7523). Raises NoCredentials."""
    head: JsonObject = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims: JsonObject = {
        "iss": account.client_email, "scope": SCOPE, "aud": account.token_uri, "iat": now, "exp": now + LIFE
    }  # fmt: skip
    text = f"{_base64(msgspec.json.encode(head))}.{_base64(msgspec.json.encode(claims))}"
    return f"{text}.{_base64(_rs256(account.private_key, text.encode()))}"


def _rs256(pem: str, text: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise NoCredentials('a service account signs by `cryptography`: pip install "riverrun[google]"') from None
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise NoCredentials(f"the private_key in the file that {FILE} names is not one") from None
    if not isinstance(key, RSAPrivateKey):
        raise NoCredentials(f"the private_key in the file that {FILE} names is not an RSA key")
    return key.sign(text, PKCS1v15(), SHA256())


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
