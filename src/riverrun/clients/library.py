"""Which HTTP library the installed openai uses (httpx up to openai 2, httpx2 from openai 3 on), and what we need of it.

The two have the same names for the same things. Neither is a dependency of riverrun.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import httpx2

NAMES = ("httpx2", "httpx")
ADVICE = "riverrun.client() needs the HTTP library that your openai uses; install openai, httpx2 or httpx"

WIRE_OPTIONS = frozenset(
    ["verify", "cert", "trust_env", "http1", "http2", "proxy", "proxies", "mounts", "limits", "transport"]
)
"""The client's arguments that are about connections; all others are about requests."""


class Library(Protocol):
    """The module httpx2, or httpx."""

    @property
    def Client(self) -> type[httpx2.Client]: ...
    @property
    def AsyncClient(self) -> type[httpx2.AsyncClient]: ...
    @property
    def Request(self) -> type[httpx2.Request]: ...
    @property
    def Timeout(self) -> type[httpx2.Timeout]: ...
    @property
    def Limits(self) -> type[httpx2.Limits]: ...
    @property
    def RequestNotRead(self) -> type[httpx2.RequestNotRead]: ...
    @property
    def ByteStream(self) -> type[httpx2.ByteStream]: ...
    @property
    def SyncByteStream(self) -> type[httpx2.SyncByteStream]: ...
    @property
    def AsyncByteStream(self) -> type[httpx2.AsyncByteStream]: ...
    @property
    def BaseTransport(self) -> type[httpx2.BaseTransport]: ...
    @property
    def AsyncBaseTransport(self) -> type[httpx2.AsyncBaseTransport]: ...
    @property
    def TransportError(self) -> type[httpx2.TransportError]: ...
    @property
    def TimeoutException(self) -> type[httpx2.TimeoutException]: ...
    @property
    def RemoteProtocolError(self) -> type[httpx2.RemoteProtocolError]: ...


def load(name: str | None) -> Library:
    """The library of that name, or the one that fits the installed openai. Raises ImportError with what to install."""
    if name is not None and name not in NAMES:
        raise ValueError(f"library={name!r}: it must be one of {', '.join(NAMES)}")
    try:
        return cast(Library, importlib.import_module(name or fitting()))
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}. {ADVICE}.") from error


def fitting() -> str:
    """What the installed openai requires; without openai, what is installed."""
    try:
        required = importlib.metadata.requires("openai") or []
    except importlib.metadata.PackageNotFoundError:
        required = [name for name in NAMES if importlib.util.find_spec(name)]
    names = {re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in required if "extra ==" not in each}
    return next((name for name in NAMES if name in names), NAMES[0])
