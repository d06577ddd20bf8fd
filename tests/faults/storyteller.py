"""An upstream that tells long stories at a steady pace, and goes on with one where another left off.

Every word names its story and its place in it, so that a word that is lost, doubled or somebody else's shows.
"""

from __future__ import annotations

import json

from tests.faults.speech import DONE, FINISH, OPENER, USAGE, payload
from tests.upstreams import LAST_CHUNK, Play, Request, Step, Upstream, chunk, head, sse

PACE = 0.02
"""Seconds between two words."""


def pieces(name: str, count: int) -> list[str]:
    return [f"{name}-{number}川 " for number in range(count)]


def story(name: str, count: int) -> str:
    """The true answer to `question(name, count)`."""
    return "".join(pieces(name, count))


def question(name: str, count: int) -> list[dict[str, str]]:
    """The messages that ask for it."""
    return [{"role": "user", "content": f"{name} {count}"}]


class Storyteller(Upstream):
    """Where the last message is the assistant's, it is the story so far. `pace` in seconds a word."""

    def __init__(self, pace: float = PACE) -> None:
        super().__init__(())
        self.pace = pace

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        messages = json.loads(request.body)["messages"]
        name, count = messages[0]["content"].split()
        so_far = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
        told = so_far.count(" ")
        assert so_far == story(name, told), "nobody said this"
        steps: list[Step] = [head(), chunk(sse(OPENER))]
        for piece in pieces(name, int(count))[told:]:
            steps += [chunk(sse(payload({"content": piece}))), self.pace]
        return Play((*steps, chunk(sse(FINISH, USAGE, DONE)), LAST_CHUNK))
