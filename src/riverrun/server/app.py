"""The application: who may come in, which surface answers, and what every failure becomes.

One routing decision per request, made here from method and path; nobody reads the URL again (SEC4).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from random import Random
from typing import Literal

import msgspec

from riverrun.config.tenants import KEYLESS
from riverrun.failures import Cause, Failure
from riverrun.runs.runs import Grant, draining
from riverrun.server import asgi, log
from riverrun.server.exchange import Exchange
from riverrun.server.guard import CHALLENGE, Guard
from riverrun.server.stream import StreamCut

server_log = logging.getLogger("riverrun.server")

Surface = Callable[[Exchange, Grant], Awaitable[None]]


class Route(msgspec.Struct, frozen=True):
    """One path: its surface by method. `public`: may be read without a key."""

    methods: Mapping[str, Surface]
    public: bool = False


class App:
    """`routes` by path, where `{id}` stands for one segment and `{name}` for any number. `life` runs while it serves.

    `drain` refuses new work from then on, `interrupt` ends what still runs; the host calls them in this order.
    """

    def __init__(
        self,
        routes: Mapping[str, Route],
        guard: Guard,
        random: Random,
        life: Callable[[], AbstractAsyncContextManager[None]],
        drain: Callable[[], None],
        interrupt: Callable[[], None],
        log_format: Literal["text", "json"] = "text",
        refused: Callable[[Cause], None] = lambda cause: None,
    ) -> None:
        """`refused` hears of requests for work that began none."""
        self._routes = {path: route for path, route in routes.items() if "{" not in path}
        self._patterns = [(_pattern(path), route) for path, route in routes.items() if "{" in path]
        self._guard = guard
        self._random = random
        self._life = life
        self._log_format = log_format
        self._refused = refused
        self._drain = drain
        self.open: set[Exchange] = set()
        self.interrupt = interrupt

    def drain(self) -> None:
        """Refuses new work from now on, also work whose request is still being sent."""
        self._drain()
        for exchange in self.open:
            exchange.hang_up(draining())

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """For other ASGI hosts; riverrun's own calls it only to let it live, and hands its requests to `answer`."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self.answer(asgi.exchange(scope, receive, send))

    async def answer(self, exchange: Exchange) -> None:
        """Every request ends here in an answer or in an OpenAI-shaped error, and in one log line."""
        exchange.id = "req_" + self._random.randbytes(12).hex()
        self.open.add(exchange)
        failure: Failure | None = None
        try:
            surface, grant = self._admitted(exchange)
            await surface(exchange, grant)
        except StreamCut:
            await self._over(exchange, None)
            raise
        except Failure as raised:
            failure = raised.with_traceback(None)  # or it and this frame, with the request in it, keep each other
        except Exception:
            server_log.exception("request %s failed by a fault of ours", exchange.id)
            failure = Failure(Cause.INTERNAL, "The server failed; its log has the details under this request's id.")
        finally:
            self.open.discard(exchange)
        if failure is not None:
            await self._fail(exchange, failure)
        await self._over(exchange, failure)

    async def _live(self, receive: asgi.Receive, send: asgi.Send) -> None:
        await receive()
        async with self._life():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _fail(self, exchange: Exchange, failure: Failure) -> None:
        if failure.cause is Cause.BAD_KEY:
            exchange.extra.append(CHALLENGE)
        if exchange.outcome is None and exchange.method == "POST":
            self._refused(failure.cause)
        await exchange.fail(failure)

    async def _over(self, exchange: Exchange, failure: Failure | None) -> None:
        """The log line, once the run has ended that the request began."""
        if exchange.outcome is None:
            line = log.of_exchange(exchange, failure)
        else:
            outcome = exchange.outcome
            try:
                line = log.of_outcome(outcome.result() if outcome.done() else await asyncio.shield(outcome), exchange)
            except Exception:  # a fault of ours; its traceback is in the log already
                line = log.of_exchange(exchange, failure)
        log.write(line, self._log_format)

    def _admitted(self, exchange: Exchange) -> tuple[Surface, Grant]:
        """Who answers, and for whom. Raises Failure for a request that may not come in."""
        headers = exchange.headers
        origin = headers.get("origin")
        refused = self._guard.refusal(headers.get("host"), origin)
        if refused is not None:
            raise refused
        exchange.extra += self._guard.cors(origin)
        route = self._routes.get(exchange.path) or self._like(exchange)
        if exchange.method == "OPTIONS":
            return partial(self._preflight, route), Grant()
        surface = route.methods.get("GET" if exchange.method == "HEAD" else exchange.method)
        if surface is None:
            raise Failure(
                Cause.WRONG_METHOD,
                f"Not allowed to {exchange.method} on {exchange.shown_path} (HINT: Perhaps you meant to use a "
                f"different HTTP method? It takes {', '.join(route.methods)}.)",
            )
        key = headers.get("authorization")
        tenant = KEYLESS if route.public else self._guard.tenant(key)
        own = headers.get("x-client-request-id")
        if own is not None:
            exchange.client_request_id = _clean(own) or None
        return surface, Grant(tenant, _caller(key) if key else exchange.client, exchange.client_request_id)

    async def _preflight(self, route: Route, exchange: Exchange, grant: Grant) -> None:
        asked = exchange.headers.get("access-control-request-headers")
        headers = self._guard.preflight(exchange.headers.get("origin"), asked, route.methods)
        await exchange.answer(204, b"", headers)

    def _like(self, exchange: Exchange) -> Route:
        for like, route in self._patterns:
            if like.fullmatch(exchange.path):
                return route
        raise Failure(
            Cause.UNKNOWN_URL,
            f"Invalid URL ({exchange.method} {exchange.shown_path}). GET /openapi.json lists what is served.",
        )


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(r"\{id\}", "[^/]+").replace(r"\{name\}", ".+"))


def _caller(key: str) -> str:
    """Callers take turns for a slot: they are told apart by key, or by address where there are none."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _clean(text: str) -> str:
    return "".join(letter for letter in text[:128] if letter.isascii() and letter.isprintable())
