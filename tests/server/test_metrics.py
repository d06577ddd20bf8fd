"""GET /metrics: who may read it, and that it holds no secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from riverrun.config.values import digest
from riverrun.failures import Cause
from riverrun.runs.labels import Labels
from riverrun.runs.metrics import Metrics
from riverrun.server.app import App, Route
from riverrun.server.guard import Guard, Keys
from riverrun.server.host import running
from riverrun.server.limits import HostLimits
from riverrun.server.metrics import MetricsPage
from riverrun.server.sockets import Listen
from tests.runs.test_labels import ALL
from tests.server.served import run, say

CLIENT, SCRAPER = "canary-key-of-a-client", "canary-key-of-a-scraper"
CLIENTS, SCRAPERS = Keys({digest(CLIENT): "acme"}), Keys({digest(SCRAPER): "metrics"})


@asynccontextmanager
async def _life() -> AsyncIterator[None]:
    yield


def asked(clients: Keys, scrapers: Keys, key: str | None) -> bytes:
    """The whole response to a scrape."""

    async def main() -> bytes:
        metrics = Metrics(Labels(lambda: ALL))
        metrics.refused(Cause.BAD_KEY)
        routes = {"/metrics": Route({"GET": MetricsPage(metrics, clients, scrapers)}, public=True)}
        app = App(routes, Guard(loopback=True, keys=clients), Random(3), _life, lambda: None, lambda: None)
        shown = f"authorization: Bearer {key}\r\n" if key else ""
        async with running(app, Listen(port=0), HostLimits(linger=0.2)) as address:
            request = f"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{shown}\r\n"
            return await say(address, request.encode())

    return run(main())


@pytest.mark.parametrize(
    ("clients", "scrapers", "key", "status"),
    [
        (Keys(), Keys(), None, 200),
        (Keys(), Keys(), CLIENT, 200),
        (Keys(), SCRAPERS, None, 401),
        (Keys(), SCRAPERS, SCRAPER, 200),
        (CLIENTS, Keys(), None, 404),
        (CLIENTS, Keys(), CLIENT, 404),
        (CLIENTS, SCRAPERS, None, 401),
        (CLIENTS, SCRAPERS, CLIENT, 401),
        (CLIENTS, SCRAPERS, SCRAPER, 200),
    ],
)
def test_who_may_read_it(clients: Keys, scrapers: Keys, key: str | None, status: int) -> None:
    answer = asked(clients, scrapers, key)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert (b"riverrun_requests_total" in answer) == (status == 200)
    assert (b"www-authenticate: Bearer" in answer) == (status == 401)
    assert b"canary" not in answer
    assert b"acme" not in answer


def test_what_it_is() -> None:
    answer = asked(Keys(), Keys(), None)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: text/plain; version=0.0.4; charset=utf-8" in head
    assert b'riverrun_requests_total{ending="bad_key",model="none"} 1.0\n' in body
    assert body.endswith(b"\n")
