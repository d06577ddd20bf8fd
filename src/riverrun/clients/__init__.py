"""HTTP clients for the stock `openai` SDK whose streams resume by themselves when the connection breaks.

    client = OpenAI(base_url=…, http_client=riverrun.client())

Imports neither httpx nor httpx2 before it is asked for a client.
"""

from __future__ import annotations

from random import Random, SystemRandom
from typing import TYPE_CHECKING

from riverrun.clients.library import WIRE_OPTIONS, Library, load
from riverrun.clients.patience import Patience
from riverrun.clients.posts import Posts

if TYPE_CHECKING:
    import httpx2


def client(
    *, library: str | None = None, patience: Patience | None = None, random: Random | None = None, **options: object
) -> httpx2.Client:
    """A client whose chat completions survive resets, restarts of the server and a switch of replica.

    `options` are those of the library's own Client (timeout, proxy, verify, limits, transport, …). `library` is "httpx"
    or "httpx2"; without it, the one that the installed openai uses. Raises ImportError where it is not installed.

    Every POST to …/chat/completions says that its caller will come back (`x-riverrun-on-disconnect: grace`) and has an
    idempotency key, the same for the SDK's own retries, so that no answer is generated or paid twice. A stream that
    breaks goes on where it stopped; the SDK sees each event once. It gives up, with the error that broke the stream,
    after `patience.give_up_after` seconds without progress or the user's own read timeout, whichever is shorter.

    Other servers, which send no `location`, are left alone. A stream that is closed early only closes its connection;
    the server then cancels the run after its grace period.
    """
    module, posts = load(library), Posts(patience or Patience(), random or SystemRandom())
    wire, rest = _split(module, options)
    from riverrun.clients.sync import Transport

    kind = type("ResumingTransport", (Transport, module.BaseTransport), {})
    return module.Client(transport=kind(module, module.Client(**wire), posts), **rest)  # type: ignore[arg-type]  # handed through


def async_client(
    *, library: str | None = None, patience: Patience | None = None, random: Random | None = None, **options: object
) -> httpx2.AsyncClient:
    """The same for AsyncOpenAI."""
    module, posts = load(library), Posts(patience or Patience(), random or SystemRandom())
    wire, rest = _split(module, options)
    from riverrun.clients.asynchronous import Transport

    kind = type("ResumingTransport", (Transport, module.AsyncBaseTransport), {})
    return module.AsyncClient(transport=kind(module, module.AsyncClient(**wire), posts), **rest)  # type: ignore[arg-type]  # handed through


def _split(library: Library, options: dict[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """The options of the connections, and those of the requests. Defaults are those of the SDK's own client, but that
    redirects are not followed: a prompt goes where it was sent to."""
    wire: dict[str, object] = {"limits": library.Limits(max_connections=1000, max_keepalive_connections=100)}
    rest: dict[str, object] = {"timeout": library.Timeout(600.0, connect=5.0)}
    for name, value in options.items():
        (wire if name in WIRE_OPTIONS else rest)[name] = value
    return wire, rest
