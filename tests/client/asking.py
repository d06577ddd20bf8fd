"""Asks through the stock SDK with riverrun's client. Also a program, for an environment with another openai:

python asking.py {sync|async} BASE_URL COUNT '{"option": …}'   prints one JSON line per answer
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import TypedDict

import openai

import riverrun
from riverrun.clients.library import load
from riverrun.clients.patience import Patience

SOON = Patience(give_up_after=20, first_pause=0.001, longest_pause=0.05)
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


class Answer(TypedDict):
    chunks: list[dict[str, object]]
    error: str  # the class of what was raised at the end, and that of its cause; or nothing


def options(more: dict[str, object]) -> dict[str, object]:
    """Arguments of the client. Every request has a connection of its own, so that a relay can count them."""
    return {"patience": SOON, "limits": load(None).Limits(max_keepalive_connections=0), **more}


def said(error: Exception) -> str:
    return f"{type(error).__name__} from {type(error.__cause__).__name__}"


def ask(base_url: str, count: int = 1, retries: int = 0, **more: object) -> list[Answer]:
    answers = []
    sdk = openai.OpenAI(
        base_url=base_url,
        api_key="k",
        max_retries=retries,
        http_client=riverrun.client(**options(more)),  # type: ignore[arg-type]
    )
    with sdk:
        for _ in range(count):
            answer = Answer(chunks=[], error="")
            try:
                for chunk in sdk.chat.completions.create(**QUESTION, stream=True):  # type: ignore[call-overload]
                    answer["chunks"].append(chunk.model_dump())
            except openai.OpenAIError as error:
                answer["error"] = said(error)
            answers.append(answer)
    return answers


async def ask_async(base_url: str, count: int = 1, retries: int = 0, **more: object) -> list[Answer]:
    answers = []
    sdk = openai.AsyncOpenAI(
        base_url=base_url,
        api_key="k",
        max_retries=retries,
        http_client=riverrun.async_client(**options(more)),  # type: ignore[arg-type]
    )
    async with sdk:
        for _ in range(count):
            answer = Answer(chunks=[], error="")
            try:
                async for chunk in await sdk.chat.completions.create(**QUESTION, stream=True):  # type: ignore[call-overload]
                    answer["chunks"].append(chunk.model_dump())
            except openai.OpenAIError as error:
                answer["error"] = said(error)
            answers.append(answer)
    return answers


def ask_from_loop(base_url: str, count: int = 1, retries: int = 0, **more: object) -> list[Answer]:
    return asyncio.run(ask_async(base_url, count, retries, **more))


ASKING: dict[str, Callable[..., list[Answer]]] = {"sync": ask, "async": ask_from_loop}

if __name__ == "__main__":
    mode, base_url, count = sys.argv[1:]
    for answer in ASKING[mode](base_url, int(count)):
        print(json.dumps(answer))
