"""`riverrun serve` before a storyteller, as many replicas of it as a row needs, killed and started again at will."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

import riverrun
from riverrun.clients.patience import Patience
from tests.faults.rows import Outcome
from tests.servers import Served, serving

CONFIGURATION = """
[upstream.a]
base_url = "{upstream}"
prefill = "{prefill}"
[[model]]
name = "it"
targets = {targets}
[tapes]
url = "{tapes}"
[store]
url = "sqlite:{folder}/ledger.sqlite"
[engine]
models = []
[server]
drain = {drain}
{more}
"""


@asynccontextmanager
async def replica(
    folder: Path,
    upstream: str,
    tapes: str,
    *,
    arguments: tuple[str, ...] = (),
    port: int = 0,
    prefill: str = "plain",
    drain: float = 0.5,
    targets: str = '["a/q"]',
    more: str = "",
    environ: Mapping[str, str] | None = None,
) -> AsyncIterator[Served]:
    """One server. All with the same tapes are replicas of each other; `folder` holds all else that it has."""
    runtime = folder / "run"
    runtime.mkdir(parents=True, exist_ok=True)
    file = folder / "riverrun.toml"
    file.write_text(
        CONFIGURATION.format(
            upstream=upstream, prefill=prefill, targets=targets, tapes=tapes, folder=folder, drain=drain, more=more
        )
    )
    own = {"RIVERRUN_MODELS": str(folder / "models"), "XDG_RUNTIME_DIR": str(runtime), **(environ or {})}
    context = serving("--config", str(file), "--port", str(port), *arguments, environ=own)
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def killed(server: Served) -> None:
    server.process.kill()
    await asyncio.to_thread(server.process.wait)


@asynccontextmanager
async def resuming(url: str, silence: float = 30.0) -> AsyncIterator[openai.AsyncOpenAI]:
    """The stock SDK with riverrun's HTTP client. `silence`: seconds without a byte that it takes for a break."""
    patience = Patience(silent_after=silence)
    http = riverrun.async_client(patience=patience)
    async with openai.AsyncOpenAI(base_url=url, api_key="unused", http_client=http) as client:
        yield client


def played(scene: Callable[[int], AsyncIterator[Outcome]]) -> Callable[[int], Iterator[Outcome]]:
    """A row's tries from an asynchronous generator, on a real loop."""

    async def every(n: int) -> list[Outcome]:
        return [outcome async for outcome in scene(n)]

    def play(n: int) -> Iterator[Outcome]:
        yield from asyncio.run(every(n))

    return play


def needs(program: str | None, otherwise: str) -> None:
    """Skips a row where its program is missing."""
    if program is None:
        pytest.skip(otherwise)
