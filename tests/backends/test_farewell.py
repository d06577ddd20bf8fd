"""Farewells arrive at the target's own address, over TCP and over a Unix socket, and none outlives its client."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from riverrun.backends.farewell import Farewells
from riverrun.backends.pool import KEEPING, Pool
from tests.backends.asking import run, target
from tests.upstreams import play, serve, whole


@pytest.mark.parametrize("unix", [False, True])
def test_it_goes_to_the_targets_own_address(unix: bool, tmp_path: Path) -> None:
    async def test() -> None:
        async with serve(play(whole(b"{}")), unix=tmp_path / "u.sock" if unix else None) as upstream:
            pool = Pool(KEEPING, {})
            Farewells(pool).say(target(upstream.base_url), "chatcmpl-1", (("authorization", "Bearer k"),))
            await upstream.asked(1)
            (request,) = upstream.requests
            assert request.line == "POST /v1/chat/completions/chatcmpl-1/cancel HTTP/1.1"
            assert request.headers["authorization"] == "Bearer k"
            pool.close()

    run(test())


def test_closing_ends_those_that_are_under_way() -> None:
    async def test() -> None:
        async with serve(play(end="stall")) as upstream:
            farewells = Farewells(Pool(KEEPING, {}))
            farewells.say(target(upstream.base_url), "chatcmpl-1", ())
            await upstream.asked(1)
            farewells.close()
            await upstream.gone(1)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(test())
