"""GET /metrics: the numbers, for whoever may read them.

Where the server has keys, one of `[server] metrics_keys` opens it and a client's key does not; without any of them it
is not there at all (SEC14).
"""

from __future__ import annotations

from riverrun.failures import Cause, Failure
from riverrun.runs.metrics import CONTENT_TYPE, Metrics
from riverrun.runs.runs import Grant
from riverrun.server.exchange import Exchange
from riverrun.server.guard import Keys


class MetricsPage:
    """`clients` and `scrapers` are the keys that hold now: of the server, and of this page. Its route is public, since
    it looks at the key itself."""

    def __init__(self, metrics: Metrics, clients: Keys, scrapers: Keys) -> None:
        self._metrics = metrics
        self._clients = clients
        self._scrapers = scrapers

    async def __call__(self, exchange: Exchange, grant: Grant) -> None:
        if self._clients and not self._scrapers:
            raise Failure(
                Cause.UNKNOWN_URL,
                f"Invalid URL (GET {exchange.shown_path}). GET /openapi.json lists what is served.",
            )
        self._scrapers.tenant(exchange.headers.get("authorization"))
        await exchange.answer(200, self._metrics.text(), [(b"content-type", CONTENT_TYPE)])
