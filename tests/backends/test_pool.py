"""Connections between two answers: used again, tried again once, bounded in number and in age."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from riverrun.backends.pool import Keeping
from riverrun.backends.upstream import Upstream
from riverrun.failures import Cause
from riverrun.stream.flow import Finished
from tests.backends.asking import CHUNKED, LENGTH, SAID, Ears, Plain, ask, both_loops, client, run, target
from tests.upstreams import LAST_CHUNK, chunk, head, play, serve, sse, whole

REST = chunk(sse(b"[END]")) + LAST_CHUNK


async def all_at_once(backend: Upstream, base_url: str, count: int, gate: asyncio.Event) -> None:
    listeners: list[Ears] = [ask(backend, target(base_url))[0] for _ in range(count)]
    for ears in listeners:
        await ears.first()
    gate.set()
    for ears in listeners:
        assert await ears.ending() == Finished()


@both_loops
def test_no_more_are_kept_than_allowed(loop: str, tmp_path: Path) -> None:
    async def test() -> None:
        gate = asyncio.Event()
        async with serve(play(head() + chunk(sse(b"a")), gate, REST), unix=tmp_path / "u.sock") as upstream:
            backend = Upstream({"plain": Plain()}, Keeping(per_address=2))
            await all_at_once(backend, upstream.base_url, 5, gate)
            assert upstream.connections == 5
            await upstream.gone(3)
            await all_at_once(backend, upstream.base_url, 2, gate)
            assert upstream.connections == 5
            backend.close()
            await upstream.gone(5)

    run(test(), loop)


def test_none_is_kept_where_none_may_be(tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(play(head() + REST), unix=tmp_path / "u.sock") as upstream:
            backend = Upstream({"plain": Plain()}, Keeping(per_address=0))
            assert await ask(backend, target(upstream.base_url))[0].ending() == Finished()
            await upstream.gone(1)

    run(test())


def test_old_ones_are_closed(tmp_path: Path) -> None:
    async def test() -> None:
        gate = asyncio.Event()
        async with serve(play(head() + chunk(sse(b"a")), gate, REST), unix=tmp_path / "u.sock") as upstream:
            backend = Upstream({"plain": Plain()}, Keeping(idle=0.02))
            await all_at_once(backend, upstream.base_url, 3, gate)
            await upstream.gone(3)
            await all_at_once(backend, upstream.base_url, 1, gate)
            await upstream.gone(4)  # the timer was set again

    run(test())


def test_one_that_the_upstream_closed_is_not_used(tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(play(head() + REST, end="clean"), unix=tmp_path / "u.sock") as upstream:
            backend = Upstream({"plain": Plain()})
            for _ in range(3):
                assert await ask(backend, target(upstream.base_url))[0].ending() == Finished()
            assert len(upstream.requests) == upstream.connections == 3

    run(test())


@both_loops
@pytest.mark.parametrize("answer", [CHUNKED, LENGTH])
def test_a_connection_serves_one_answer_after_the_other(loop: str, answer: bytes) -> None:
    async def test() -> None:
        async with serve(play(answer), play(whole(b"no", "429 Busy")), play(answer)) as upstream:
            backend = client()
            for expected in (Finished, object, Finished):
                ears, _ = ask(backend, target(upstream.base_url))
                assert isinstance(await ears.ending(), expected)
            assert upstream.connections == 1
            backend.close()

    run(test(), loop)


@both_loops
def test_an_idle_connection_that_was_closed_costs_one_retry(loop: str) -> None:
    async def test() -> None:
        async with serve(
            play(CHUNKED), play(end="reset"), play(CHUNKED), play(end="clean"), play(end="clean")
        ) as upstream:
            backend = client()
            for _ in range(2):
                ears, _ = ask(backend, target(upstream.base_url))
                assert await ears.ending() == Finished()
                assert ears.text == SAID
            assert [request.connection for request in upstream.requests] == [1, 1, 2]
            ears, _ = ask(backend, target(upstream.base_url))
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            assert [request.connection for request in upstream.requests[3:]] == [2, 3]  # the new one is not tried again

    run(test(), loop)


def test_no_retry_once_a_byte_of_the_answer_came() -> None:
    async def test() -> None:
        async with serve(play(CHUNKED), play(b"H", end="reset")) as upstream:
            backend = client()
            for expected in (Finished, object):
                ears, _ = ask(backend, target(upstream.base_url))
                assert isinstance(await ears.ending(), expected)
            assert (await ears.failure()).cause is Cause.UPSTREAM_INTERRUPTED
            assert len(upstream.requests) == 2

    run(test())
