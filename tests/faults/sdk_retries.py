"""The rows X15: a stock SDK whose connection is reset, and which asks again by itself: with an idempotency key, and
without one before a server that joins retries.

The SDK does so until an answer's head has come, and for a whole answer until its last byte.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import openai

from riverrun.store.sums import usage
from tests.client.network import Cut, Relay, relaying
from tests.faults.compared import asked_once, differing
from tests.faults.house import Speaker, house
from tests.faults.lines import POST, ask, chat
from tests.faults.rows import Outcome, Row
from tests.faults.speech import ANSWER

AT_ONCE = 25
TRIES = 60
NET = "[server]\njoin_retries = true\n"
Where = Literal["head", "whole", "while it is generated"]


class Case(NamedTuple):
    """`paces`: seconds between two words, so that the answer is over or runs still when the SDK asks again, half a
    second later. A server that joins retries knows an answer for lost only where its client left before its end."""

    what: str
    where: Where
    stream: bool
    keyed: bool
    paces: tuple[float, ...] = (0.0, 0.005, 0.12)
    in_suite: int = 4


RUNNING = (0.05, 0.12)
CASES = (
    Case("a stream, reset inside its head; with a key", "head", True, True, in_suite=0),
    Case("a whole answer, reset inside it; with a key", "whole", False, True),
    Case("a whole answer, reset while it is generated; with a key", "while it is generated", False, True, RUNNING, 0),
    Case("a stream, reset inside its head; `join_retries = true`", "head", True, False, RUNNING, 0),
    Case(
        "a whole answer, reset while it is generated; `join_retries = true`",
        "while it is generated", False, False, RUNNING,
    ),
)  # fmt: skip


def rows() -> Iterator[Row]:
    for case in CASES:
        yield Row("X15", f"openai-python, {case.what}", TRIES, partial(_played, case), in_suite=case.in_suite)


def _played(case: Case, n: int) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_all(case, n, Path(folder)))


async def _all(case: Case, n: int, folder: Path) -> list[Outcome]:
    """On a server for each pace, all at the same time."""
    shares = [len(range(at, n, len(case.paces))) for at in range(len(case.paces))]
    every = zip(case.paces, shares, strict=True)
    played = await asyncio.gather(*(_paced(case, pace, share, folder) for pace, share in every))
    return [outcome for each in played for outcome in each]


async def _paced(case: Case, pace: float, n: int, folder: Path) -> list[Outcome]:
    speaker = Speaker(pace=pace)
    ledger = folder / f"{pace}.sqlite"
    more = f'{"" if case.keyed else NET}[store]\nurl = "sqlite:{ledger}"\n'
    async with house(speaker, more) as port:
        raw = (await ask(port, POST, chat(stream=case.stream))).raw
        size = raw.index(b"\r\n\r\n") + 4 if case.where == "head" else len(raw)
        room = asyncio.Semaphore(AT_ONCE)
        places = [number * size // n for number in range(n)]
        played = await asyncio.gather(*(_one(port, speaker, case, place / size, place, room) for place in places))
    broken = _charged(ledger, n + 1, len(speaker.words))
    return [each._replace(broken=each.broken or broken) for each in played]


async def _one(port: int, speaker: Speaker, case: Case, share: float, place: int, room: asyncio.Semaphore) -> Outcome:
    """Every try has a relay of its own, which resets its first connection and no other."""
    prompt = f"Tell at {place}."
    async with room, relaying(port) as relay, asyncio.TaskGroup() as group:
        if case.where == "while it is generated":
            group.create_task(_reset(relay, speaker, prompt, share))
        else:
            relay.cuts.append(Cut(place, "reset"))
        began = asyncio.get_running_loop().time()
        async with openai.AsyncOpenAI(base_url=relay.base_url, api_key="k") as sdk:
            text, error = await _said(sdk, prompt, case.stream, {"Idempotency-Key": prompt} if case.keyed else {})
        took = asyncio.get_running_loop().time() - began
        broken = asked_once(speaker, prompt) or ("it was not reset" if relay.cuts else "")
    wrong = differing(text.encode(), ANSWER.encode(), finished=not error)
    return Outcome(text == ANSWER and not error, bool(error), wrong, not error and text != ANSWER, took, broken)


async def _reset(relay: Relay, speaker: Speaker, prompt: str, share: float) -> None:
    """Once the upstream has said this share of its answer."""
    await speaker.heard(prompt)
    await asyncio.sleep(speaker.pace * len(speaker.words) * share)
    for client in tuple(relay.open):
        client.end("reset")


async def _said(sdk: openai.AsyncOpenAI, prompt: str, stream: bool, headers: dict[str, str]) -> tuple[str, str]:
    """The text, and the error that the SDK's user gets."""
    text = ""
    asked = {"model": "m", "messages": [{"role": "user", "content": prompt}], "extra_headers": headers}
    try:
        if not stream:
            whole = await sdk.chat.completions.create(**asked)  # type: ignore[call-overload]  # as it is
            return str(whole.choices[0].message.content), ""
        async for chunk in await sdk.chat.completions.create(**asked, stream=True):  # type: ignore[call-overload]
            text += chunk.choices[0].delta.content or ""
    except openai.OpenAIError as failure:
        return text, type(failure).__name__
    return text, ""


def _charged(file: Path, answers: int, tokens: int) -> str:
    """What is wrong with the ledger: each answer is charged once, as its upstream counted it."""
    (every,) = usage(file, ["tenant"]).sums
    if (every.requests, every.attempts) != (answers, answers):
        return f"{every.attempts} rows for {answers} answers"
    right = every.completion_tokens == answers * tokens and not every.counted and not every.estimated
    return "" if right else f"{every.completion_tokens} tokens charged for {answers} answers of {tokens}"
