"""The whole server, put together from a configuration as `riverrun serve` does it, in the running loop.

Its upstream says the same to everyone, paced, and knows how much of it has really gone out.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Literal, NamedTuple

import msgspec

from riverrun.config import Config
from riverrun.config.values import decode
from riverrun.server.build import build
from riverrun.server.host import running
from riverrun.server.limits import HostLimits
from riverrun.server.sockets import Listen
from tests.faults.speech import ANSWER, DONE, OPENER, call, payload
from tests.upstreams import LAST_CHUNK, Play, Request, Step, Upstream, chunk, head, serve, sse

CONFIGURATION = """
[upstream.a]
base_url = "{base_url}"
[[model]]
name = "it"
aliases = ["m"]
retries = 0
targets = ["a/q"]
[engine]
models = []
"""
PROMPT_TOKENS = 5
NO_LEDGER = '[store]\nurl = "off"\n'

Counts = Literal["at its end", "with each event", "never"]
"""When an upstream says what it has used."""


def pieces(text: str) -> list[str]:
    """A piece for each word."""
    return re.findall(r"\s*\S+", text)


class Mark(asyncio.Event):
    """A step that takes no time: set once everything before it was sent."""

    async def wait(self) -> Literal[True]:
        self.set()
        return True


class Spoken(NamedTuple):
    """One call: what was asked, and a mark for each word, and one for the end, set once it was sent."""

    asked: dict[str, object]
    marks: list[Mark]
    end: Mark

    @property
    def prompt(self) -> str:
        messages = self.asked["messages"]
        assert isinstance(messages, list)
        return str(messages[-1]["content"])

    @property
    def tokens(self) -> int:
        """Words that were sent."""
        return sum(mark.is_set() for mark in self.marks)


class Speaker(Upstream):
    """Says `words`, one event each and `pace` seconds after the other, `silence` before the first; or the tool call to
    those who offer a tool. For several choices each word comes once for each. With `gates` it waits for one of them
    before the word of that number, in place of a pause."""

    def __init__(
        self,
        words: Sequence[str] | None = None,
        pace: float = 0.01,
        silence: float = 0.0,
        counts: Counts = "at its end",
        tokens: int = 1,
    ) -> None:
        super().__init__(())
        self.words = pieces(ANSWER) if words is None else list(words)
        self.pace = pace
        self.silence = silence
        self.counts = counts
        self.tokens = tokens
        """Of one word."""
        self.calls: list[Spoken] = []
        self.gates: dict[int, asyncio.Event] = {}

    @property
    def text(self) -> str:
        return "".join(self.words)

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        spoken = Spoken(json.loads(request.body), [], Mark())
        self.calls.append(spoken)
        steps: list[Step] = [head(), self.silence]
        for number, payloads in enumerate(self._said(spoken.asked), 1):
            spoken.marks.append(Mark())
            steps += [self.gates.get(number, self.pace), chunk(sse(*payloads)), spoken.marks[-1]]
        steps += [self.pace, chunk(sse(*self._end(spoken.asked), DONE)), LAST_CHUNK, spoken.end]
        self._news.set()
        return Play(tuple(steps))

    async def heard(self, prompt: str) -> None:
        """Returns once this was asked."""
        await self._until(lambda: bool(self.asked_for(prompt)))

    def asked_for(self, prompt: str) -> int:
        """How often this was asked."""
        return sum(call.prompt == prompt for call in self.calls)

    def _said(self, asked: dict[str, object]) -> list[list[bytes]]:
        """The payloads of each word."""
        if "tools" in asked:
            return [[each] for each in call()[:-3]]
        choices = range(int(str(asked.get("n", 1))))
        words = [[_delta(index, word) for index in choices] for word in self.words]
        if self.counts == "with each event":
            words = [[*each, _usage(number * self.tokens)] for number, each in enumerate(words, 1)]
        return [[OPENER, *words[0]], *words[1:]]

    def _end(self, asked: dict[str, object]) -> list[bytes]:
        if "tools" in asked:
            return [payload(finish="tool_calls"), _usage(9)]
        choices = range(int(str(asked.get("n", 1))))
        ends = [_delta(index, None, "stop") for index in choices]
        return ends if self.counts == "never" else [*ends, _usage(len(self.words) * self.tokens * len(choices))]


def _delta(index: int, word: str | None, finish: str | None = None) -> bytes:
    delta = {} if word is None else {"content": word}
    return payload(choices=[{"index": index, "delta": delta, "finish_reason": finish}])


def _usage(completion: int) -> bytes:
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": completion}
    return payload(choices=[], usage={**usage, "total_tokens": PROMPT_TOKENS + completion})


def configured(base_url: str, more: str = NO_LEDGER) -> Config:
    sections = tomllib.loads(CONFIGURATION.format(base_url=base_url) + more)
    return msgspec.convert(sections, Config, dec_hook=decode)


@asynccontextmanager
async def house(
    speaker: Speaker, more: str = NO_LEDGER, *, seed: int = 1, limits: HostLimits | None = None
) -> AsyncIterator[int]:
    """The server's port. `more` is appended to its configuration."""
    async with serve(upstream=speaker):
        app = build(configured(speaker.base_url, more), {}, Random(seed))
        async with running(app, Listen(port=0), limits or HostLimits(linger=0.2)) as address:
            yield address.port


class Said(NamedTuple):
    """What an answer's events come to: the words of each choice, and how each ended."""

    texts: dict[int, str]
    finishes: dict[int, str]


def said(events: Sequence[bytes]) -> Said:
    """Of events as they were sent. A call counts as its name and its arguments."""
    texts: dict[int, str] = {}
    finishes: dict[int, str] = {}
    for event in events:
        data = event.partition(b"data: ")[2]
        for choice in [] if data.startswith(b"[DONE]") else json.loads(data).get("choices", []):
            at = choice["index"]
            texts[at] = texts.get(at, "") + _words(choice["delta"])
            finishes |= {at: choice["finish_reason"]} if choice["finish_reason"] else {}
    return Said(texts, finishes)


def _words(delta: dict[str, object]) -> str:
    calls = delta.get("tool_calls") or []
    assert isinstance(calls, list)
    functions = [each.get("function", {}) for each in calls]
    called = "".join(each.get("name", "") + each.get("arguments", "") for each in functions)
    return str(delta.get("content") or "") + called
