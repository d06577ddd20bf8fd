"""The stock SDK while its server goes away in the middle of an answer, and another one takes its place.

The tapes are in files, which all processes of one machine share. The upstream waits in the middle of its answer, so
that the answer is running when it happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest

import riverrun
from tests.client.asking import SOON
from tests.client.network import Background, Relay, relaying
from tests.client.real import MODEL, Speaker, replica
from tests.servers import Served
from tests.upstreams import serve

WORDS = [f"Wort {number} 🌊 " for number in range(20)]
TEXT = "".join(WORDS)


@pytest.fixture
def speaker(loop_thread: Background) -> Iterator[Speaker]:
    speaker = Speaker(WORDS, asyncio.Event())
    with loop_thread.entered(serve(upstream=speaker)):
        yield speaker


@pytest.fixture
def servers(speaker: Speaker, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    tapes = f"file:{tmp_path}/tapes"
    with replica(speaker, tmp_path / "a", tapes) as one, replica(speaker, tmp_path / "b", tapes) as other:
        yield one, other


@pytest.fixture
def relay(loop_thread: Background, servers: tuple[Served, Served]) -> Iterator[Relay]:
    with loop_thread.entered(relaying(servers[0].port)) as relay:
        yield relay


def read(relay: Relay, midway: Callable[[], None]) -> str:
    """The answer's text; `midway` is called once, after some of it."""
    client = riverrun.client(patience=SOON)
    said = ""
    with openai.OpenAI(base_url=relay.base_url, api_key="k", max_retries=0, http_client=client) as sdk:
        stream = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True)
        for number, chunk in enumerate(stream):
            said += chunk.choices[0].delta.content or ""
            if number == 5:
                midway()
    return said


def test_another_replica_goes_on(
    loop_thread: Background, speaker: Speaker, servers: tuple[Served, Served], relay: Relay
) -> None:
    async def switch() -> None:
        await relay.vanish()
        relay.target = servers[1].port
        await relay.listen()
        assert speaker.half is not None
        speaker.half.set()

    assert read(relay, lambda: loop_thread.run(switch())) == TEXT
    assert len(speaker.requests) == 1


def test_a_server_that_is_killed_never_looks_finished(
    loop_thread: Background, speaker: Speaker, servers: tuple[Served, Served], relay: Relay
) -> None:
    """This upstream can't go on with another's words, so that the other replica ends the answer with a typed error."""

    async def switch() -> None:
        await relay.vanish()
        relay.target = servers[1].port
        await relay.listen()

    def die() -> None:
        servers[0].process.kill()
        servers[0].process.wait()
        loop_thread.run(switch())

    with pytest.raises(openai.APIError) as raised:
        read(relay, die)
    assert raised.value.code
