"""Tapes in Redis do what all tapes do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from riverrun.stream.flow import Cancelled
from riverrun.tapes.records import Begin, body
from riverrun.tapes.redis_link import Link
from riverrun.tapes.redis_names import Names
from riverrun.tapes.redis_reply import texts
from riverrun.tapes.redis_tapes import RedisTapes
from riverrun.tapes.retention import Retention
from tests.redis import RedisServer, needs_redis, redis_server
from tests.tapes.contract import Nobody, Scenario, Setting, TapesContract, own
from tests.tapes.reader import Reader, head
from tests.tapes.redis_timing import tapes_at

pytestmark = needs_redis

PREFIXES = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@asynccontextmanager
async def two(
    url: str, retention: Retention | None = None, largest: int | None = None
) -> AsyncIterator[list[RedisTapes]]:
    both = [tapes_at(url, retention, largest=largest) for _ in range(2)]
    try:
        for tapes in both:
            await tapes.open_for(Nobody())
        yield both
    finally:
        for tapes in both:
            await tapes.close()


class TestContract(TapesContract):
    @pytest.fixture(autouse=True)
    def _at(self, server: RedisServer) -> None:
        self.server = server
        self.prefix = f"t{next(PREFIXES)}:"

    def run(self, scenario: Scenario, retention: Retention | None = None, largest: int | None = None) -> None:
        asyncio.run(self._run(scenario, retention, largest))

    async def _run(self, scenario: Scenario, retention: Retention | None, largest: int | None) -> None:
        async with two(f"{self.server.url}?prefix={self.prefix}", retention, largest) as (here, there):
            try:
                await scenario(Setting(here, there, self.pass_time, self.server.freeze))
            finally:
                self.server.thaw()

    async def pass_time(self, seconds: float) -> None:
        """All that expires does so earlier, except what says who is alive."""
        link = Link(self.server.url)
        await asyncio.sleep(0.05)
        for key in texts(await link.ask("KEYS", f"{self.prefix}*")):
            left = await link.ask("PTTL", key)
            if isinstance(left, int) and left > 0 and not key.startswith((b"owner:", b"ear:"), len(self.prefix)):
                await link.ask("PEXPIRE", key, left - round(seconds * 1000))
        await link.close()


def test_an_older_server_leaves_what_it_cannot_read_in_the_list(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        prefix = f"t{next(PREFIXES)}:"
        names, link = Names(prefix), Link(server.url)
        async with two(f"{server.url}?prefix={prefix}") as (here, there):
            for number in (1, 2, 3):
                tape = await own(here, f"chatcmpl-{number}", store=True)
                tape.close(Cancelled(), None)
                await Reader().on(tape).done()
            newer = names.tape("chatcmpl-1")
            await link.ask("DEL", newer, names.tape("chatcmpl-2"))
            await link.ask("XADD", newer, "1-0", *body(Begin(head("chatcmpl-1", store=True), version=2)))
            for _ in range(2):
                assert [tape.head.id async for tape in there.stored("acme")] == ["chatcmpl-3"]
            left = texts(await link.ask("ZRANGE", names.stored("acme"), 0, -1))
            assert left == [b"chatcmpl-1", b"chatcmpl-3"]
        await link.close()

    asyncio.run(main())
    assert len([record for record in caplog.records if "chatcmpl-1" in record.getMessage()]) == 1
