"""How model files and package indexes are reached over HTTP: one pool, short connect time-outs, proxies, CA bundles.

Synchronous, for the command line only; the server never uses it.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from urllib.parse import unquote, urlsplit, urlunsplit

import truststore
import urllib3
from urllib3.util import Retry, Timeout, make_headers

from riverrun.engine.errors import SourceFailed

CONNECT_SECONDS = 3.0
READ_SECONDS = 30.0
BLOCK = 256 * 1024

# A closed network is noticed at the first try. Servers that are busy for a moment are asked again.
RETRY = Retry(total=5, connect=0, read=0, redirect=5, status=3, status_forcelist=(429, 500, 502, 503, 504),
              backoff_factor=0.25, allowed_methods=None, raise_on_status=False)  # fmt: skip

Headers = dict[str, str]


class Web:
    """Opens URLs. `ca_bundle` is a PEM file that is trusted beside the system's own authorities."""

    def __init__(self, ca_bundle: str | None = None) -> None:
        self._tls = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if bundle := ca_bundle or os.environ.get("SSL_CERT_FILE"):
            try:
                self._tls.load_verify_locations(bundle)
            except (OSError, ssl.SSLError) as error:
                raise SourceFailed(f"the CA bundle {bundle} can't be read ({error})") from None
        self._timeout = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        self._pools: dict[str | None, urllib3.PoolManager] = {}

    def open(self, url: str, headers: Headers, method: str = "GET", follow: bool = True) -> urllib3.BaseHTTPResponse:
        """The answer, its body unread, whatever its status. Raises SourceFailed where there is none."""
        # Ranges and sizes count the bytes of the file, so it must come as it is.
        url, login = _without_login(url)
        plain = {"accept-encoding": "identity", "user-agent": "riverrun", **login, **headers}
        try:
            return self._pool(url).request(
                method, url, headers=plain, preload_content=False, retries=RETRY, timeout=self._timeout, redirect=follow
            )
        except urllib3.exceptions.MaxRetryError as error:
            raise SourceFailed(f"{_host(url)}: {_reason(error.reason or error)}") from None
        except urllib3.exceptions.HTTPError as error:
            raise SourceFailed(f"{_host(url)}: {_reason(error)}") from None

    def read(self, url: str, headers: Headers, limit: int) -> tuple[bytes, str]:
        """The whole body and its content type. Raises SourceFailed unless it is a 200 of at most `limit` bytes."""
        response = self.open(url, headers)
        try:
            if response.status != 200:
                raise SourceFailed(f"{_host(url)} answered {response.status}")
            body = response.read(limit + 1)
        except urllib3.exceptions.HTTPError as error:
            raise SourceFailed(f"{_host(url)}: {_reason(error)}") from None
        finally:
            response.release_conn()
        if len(body) > limit:
            raise SourceFailed(f"{_host(url)} answered more than {limit} bytes")
        return body, response.headers.get("content-type", "")

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = _proxy(url)
        if proxy not in self._pools:
            self._pools[proxy] = (
                urllib3.ProxyManager(proxy, ssl_context=self._tls)
                if proxy
                else urllib3.PoolManager(ssl_context=self._tls)
            )
        return self._pools[proxy]


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for the URL (HTTPS_PROXY, NO_PROXY and so on)."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _without_login(url: str) -> tuple[str, Headers]:
    """A private index is often written https://name:token@host/: urllib3 wants the name and token as a header."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urlunsplit(bare), make_headers(basic_auth=login)


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _reason(error: BaseException) -> str:
    """An urllib3 error in a few words: they lead with the object's repr, and nobody wants that."""
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (urllib3.exceptions.NameResolutionError, "its name can't be resolved"),
        (urllib3.exceptions.NewConnectionError, "no connection could be made"),
        (urllib3.exceptions.ConnectTimeoutError, f"no connection within {CONNECT_SECONDS:g} s"),
        (urllib3.exceptions.ReadTimeoutError, f"silent for {READ_SECONDS:g} s"),
        (urllib3.exceptions.ProxyError, "the proxy refused"),
        (urllib3.exceptions.SSLError, "its certificate is not trusted"),
        (urllib3.exceptions.ProtocolError, "the connection broke"),
    )
    return next((words for kind, words in kinds if isinstance(error, kind)), str(error))
