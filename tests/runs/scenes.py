"""Runs with scripted upstreams, for the tests of this room and of the server's."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from riverrun.backends.scripted import Script, Scripted
from riverrun.routing.target import Deadlines, Target
from riverrun.runs.run import Outcome
from riverrun.runs.runs import Grant, Route, Runs
from riverrun.tapes.memory import MemoryTape
from riverrun.wire.request import Chat, parse_chat

DEADLINES = Deadlines(first_token=30.0, idle=15.0, total=600.0)


def chat(**parameters: object) -> Chat:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], **parameters}
    return parse_chat(json.dumps(body).encode())


class Scene:
    """One scripted model called `tiny`. `outcomes` are the runs that have ended."""

    def __init__(self, script: Script, *, row: str = "compatible", fingerprint: str | None = "fp_1") -> None:
        target = Target("tiny", "tiny", "", row, fingerprint=fingerprint, deadlines=DEADLINES)
        route = Route(target, Scripted(script))
        self.outcomes: list[Outcome] = []
        self.runs = Runs(
            lambda name: route if name == "tiny" else None,
            Random(1),
            lambda: 1694268190.7,
            self._settled,
        )
        self.heard: Callable[[Outcome, Grant], None] = lambda outcome, grant: None

    def _settled(self, outcome: Outcome, grant: Grant) -> None:
        self.outcomes.append(outcome)
        self.heard(outcome, grant)

    def begin(self, **parameters: object) -> MemoryTape:
        return self.runs.begin(chat(**parameters), Grant())
