"""What scripted upstreams say: an answer that follows from its request alone, and carries its tenant's canary.

What a call cost can be told from every other: its number is in the prompt's count of tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from riverrun.routing.target import Deadlines, Target
from tests.faults.scene import PREFILLING
from tests.faults.speech import DONE, FINISH, OPENER, error, payload
from tests.simulation.plan import Behaviour, Side
from tests.upstreams import LAST_CHUNK, Play, Request, Step, Upstream, chunk, head, sse, whole

DEADLINES = Deadlines(2.0, 6.0, 4.0, 60.0)
FIRST_CALL = 100_000
"""The prompt tokens of call number 0."""
PROMPT = re.compile(r"ask (\d+) of (\w+), (\d+) words")


def prompt(number: int, tenant: str, words: int) -> str:
    return f"ask {number} of {tenant}, {words} words"


def canary(tenant: str) -> str:
    """In every answer to this tenant, and in no other."""
    return f"naïve-{tenant}-川"


def answer(asked: str) -> str:
    """The whole answer to a prompt."""
    number, tenant, words = PROMPT.fullmatch(asked).groups()  # type: ignore[union-attr]  # every prompt is one
    return " ".join([canary(tenant), number, *(f"w{place}" for place in range(int(words)))])


class Call(NamedTuple):
    """One call as the upstream knows it. `told`: it reported its usage, as the last thing of a whole answer."""

    number: int
    side: int
    asked: str
    at: float
    tokens: int
    told: bool


class Scripted(Upstream):
    """`said` hears of every call."""

    def __init__(self, number: int, side: Side, clock: Callable[[], float], calls: list[Call]) -> None:
        super().__init__(())
        self._number = number
        self._side = side
        self._clock = clock
        self._calls = calls

    def ask(self, request: Request) -> Play:
        messages = json.loads(request.body)["messages"]
        so_far = messages.pop()["content"] if messages[-1]["role"] == "assistant" else ""
        asked = messages[-1]["content"]
        behaviours = self._side.behaviours
        behaviour = behaviours[min(len(self.requests), len(behaviours) - 1)]
        self.requests.append(request)
        words = re.findall(r"\s*\S+", answer(asked).removeprefix(so_far))
        told = self._side.counts and behaviour.kind in ("fine", "slow")
        call = Call(len(self._calls), self._number, asked, self._clock(), len(words), told)
        self._calls.append(call)
        return _play(behaviour, words, call)

    def target(self) -> Target:
        repeats, goes_on = self._side.way == "deterministic", self._side.way == "prefill"
        return Target(
            f"side-{self._number}",
            "theirs",
            self.base_url,
            PREFILLING if goes_on else "compatible",
            deadlines=DEADLINES,
            deterministic=repeats,
            draw_seed=repeats,
            prefill=goes_on,
            same="it",
        )


def _play(behaviour: Behaviour, words: list[str], call: Call) -> Play:
    kind, at, pace = behaviour
    if kind == "busy":
        return Play((whole(error("rate_limit_exceeded"), "429 Too Many Requests", more="retry-after: 1"),))
    if kind == "down":
        return Play((whole(error("oops"), "500 Internal Server Error"),))
    if kind == "silent":
        return Play((), "stall")
    events = [OPENER, *(payload({"content": word}) for word in words), FINISH]
    if call.told:
        count = {"prompt_tokens": FIRST_CALL + call.number, "completion_tokens": call.tokens}
        usage = {**count, "total_tokens": sum(count.values())}
        events.append(payload(choices=[], usage=usage))
    steps = [_paced(sse(event), pace + 0.5 * (kind == "slow")) for event in (*events, DONE)]
    before = tuple(step for pair in steps[: min(at, len(words))] for step in pair)
    return {
        "cut": lambda: Play((head(), *before), "reset"),
        "stall": lambda: Play((head(), *before), "stall"),
        "ended": lambda: Play((head(), *before, LAST_CHUNK)),
        "error": lambda: Play((head(), *before, chunk(sse(error("server_error"))), LAST_CHUNK)),
        "malformed": lambda: Play((head(), *before, chunk(b'data: {"choices": [{"del\n\n'), LAST_CHUNK)),
    }.get(kind, lambda: Play((head(), *(step for pair in steps for step in pair), LAST_CHUNK)))()


def _paced(event: bytes, pace: float) -> tuple[Step, ...]:
    return (pace, chunk(event)) if pace else (chunk(event),)
