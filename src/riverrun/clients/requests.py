"""What an HTTP library keeps in a request: its body, its timeouts, and the GET that goes on with its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from riverrun.clients.posts import headers_to_resume
from riverrun.clients.resuming import Resuming

if TYPE_CHECKING:
    import httpx2

    from riverrun.clients.library import Library

Timeouts = dict[str, float | None]


def content(library: Library, request: httpx2.Request) -> bytes | None:
    """The body, or None where it can be sent only once."""
    try:
        return request.content
    except library.RequestNotRead:
        return None


def timeouts(request: httpx2.Request) -> Timeouts:
    """In seconds, by phase: connect, read, write, pool."""
    return cast(Timeouts, request.extensions.get("timeout", {}))


def set_silence(request: httpx2.Request, seconds: float) -> None:
    """From now on the answer's body may be silent for so long. (Its head could take as long as the user allows.)

    In place: the connection looks the limits up where it found them when the request was sent.
    """
    cast("dict[str, object]", request.extensions)["timeout"] = {**timeouts(request), "read": seconds}


def resumption(library: Library, request: httpx2.Request, id: str, state: Resuming) -> httpx2.Request:
    """The GET that goes on with the answer to `request`."""
    url = request.url.copy_with(path=f"{request.url.path}/{id}")
    headers = headers_to_resume(request.headers, state.cursor)
    longest = {phase: limited(seconds, state.silent_after) for phase, seconds in timeouts(request).items()}
    return library.Request("GET", url, headers=headers, extensions={**request.extensions, "timeout": longest})


def limited(seconds: float | None, limit: float) -> float:
    return limit if seconds is None else min(seconds, limit)
