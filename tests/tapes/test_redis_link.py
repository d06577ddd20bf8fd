"""Which Redis is meant, and what is said where there is none: never with its password."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest

from riverrun.failures import Failure
from riverrun.tapes.redis_link import Link
from tests.redis import RedisServer, needs_redis, redis_server
from tests.tapes.contract import Nobody
from tests.tapes.redis_timing import tapes_at


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("redis://localhost", "riverrun:"),
        ("rediss://u:p@localhost:7/3?prefix=x:&ssl_cert_reqs=none", "x:"),
        ("unix:///run/redis.sock?prefix=&db=3", ""),
    ],
)
def test_the_prefix_is_ours(url: str, prefix: str) -> None:
    link = Link(url)
    assert link.prefix == prefix
    assert "prefix" not in link.url


async def _cannot_start(url: str, secret: str) -> str:
    with pytest.raises(Failure) as raised:
        await tapes_at(url).open_for(Nobody())
    assert secret not in raised.value.message
    return raised.value.message


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@",
        "redis://:hunter2@localhost:x/0",
        "redis://:hunter2@localhost:1/zero",
        "redis://:hunter2@localhost:1/0?nonsense=hunter2",
        "http://:hunter2@localhost/",
        "unix://?password=hunter2",
        "redis://:hunter2@127.0.0.1:1/0",
        "unix:///nowhere/redis.sock?password=hunter2",
    ],
)
def test_a_redis_that_can_t_be_used_is_said_without_the_password(url: str) -> None:
    assert asyncio.run(_cannot_start(url, "hunter2"))


@needs_redis
def test_a_wrong_password_is_said(server: RedisServer) -> None:
    assert server.command("CONFIG", "SET", "requirepass", "right") == b"+OK"
    url = server.tcp.replace("redis://", "redis://:hunter2@")
    assert asyncio.run(_cannot_start(url, "hunter2"))


async def _comes_in(url: str) -> None:
    tapes = tapes_at(url)
    await tapes.open_for(Nobody())
    await tapes.note("n", b"1", 9)
    await tapes.close()


@needs_redis
def test_a_right_password_and_another_database(server: RedisServer) -> None:
    assert server.command("CONFIG", "SET", "requirepass", "right") == b"+OK"
    asyncio.run(_comes_in(f"redis://:right@127.0.0.1:{server.port}/3?prefix=mine:"))
    asyncio.run(_comes_in(f"redis+unix://{server.socket}?db=2&password=right"))


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "riverrun.tapes.redis_line", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(Failure, match=r'pip install "riverrun\[redis\]"'):
        Link("redis://localhost")
