"""What a connection leaves behind when it has gone: nothing that only the garbage collector could find."""

import asyncio
import gc
from collections import Counter
from contextlib import suppress

import pytest

from riverrun.backends.scripted import End, Fail, Say, steps
from riverrun.failures import Cause, Failure
from riverrun.server.direct import DirectStream
from riverrun.server.exchange import Exchange
from riverrun.server.protocol import Connection
from riverrun.stream.deltas import Finish, Text, Usage
from tests.runs.scenes import Scene
from tests.runs.test_leftovers import uncollected
from tests.server.served import PATIENCE, run
from tests.server.test_app import ask, chat, request, served

OURS = {Connection, DirectStream, Exchange}

WHOLE = (Say((Text(0, b'"Hi"'), Finish(0, "stop"), Usage(1, 1))), End())
CUT = (Say((Text(0, b'"Hi"'),)), Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "cut")))
ERROR = (Fail(Failure(Cause.UPSTREAM_ERROR, "down")),)


def alive() -> Counter[str]:
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in OURS)


async def all_gone() -> None:
    """A connection is let go of when the loop hears that its client has gone."""
    async with asyncio.timeout(PATIENCE):
        while alive():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("script", [WHOLE, CUT, ERROR], ids=["whole", "cut", "error"])
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_and_its_connection_are_freed_together(script: tuple[Say | Fail | End, ...], stream: bool) -> None:
    async def main() -> None:
        async with served(Scene(steps(*script))) as address:
            for _ in range(3):
                with suppress(EOFError):
                    await ask(address, chat(stream=stream))
            await all_gone()

    with uncollected():
        run(main())


def test_a_refused_request_is_freed_with_its_connection() -> None:
    async def main() -> None:
        async with served(Scene(steps(*WHOLE))) as address:
            for data in (chat(n="two"), request("GET", "/nowhere"), request("PUT", "/v1/models")):
                await ask(address, data)
            await all_gone()

    with uncollected():
        run(main())
