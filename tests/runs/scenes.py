"""Runs with scripted upstreams, for the tests of this room and of the server's."""

from __future__ import annotations

import asyncio
import json
from random import Random

import msgspec

from riverrun.backends.scripted import Script, Scripted
from riverrun.routing.model import Model, Weighted
from riverrun.routing.target import Deadlines, Target
from riverrun.runs.run import Outcome
from riverrun.runs.runs import Begun, Grant, Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.tapes.memory import MemoryTape
from riverrun.wire.request import Chat, parse_chat

DEADLINES = Deadlines(first_token=30.0, idle=15.0, total=600.0)


def chat(**parameters: object) -> Chat:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], **parameters}
    return parse_chat(json.dumps(body).encode())


def target(name: str = "tiny", **facts: object) -> Target:
    plain = Target(name, name, "", name, fingerprint="fp_1", deadlines=DEADLINES)
    return msgspec.structs.replace(plain, **facts)


class Scene:
    """One model called `tiny`, whose targets play scripts. `facts` are its first target's; the others bring theirs.

    `named` are targets that only the model's fallbacks name.
    """

    def __init__(
        self,
        script: Script,
        *others: tuple[Target, Script],
        model: Model | None = None,
        named: tuple[tuple[Target, Script], ...] = (),
        **facts: object,
    ) -> None:
        mine = target("tiny", **facts)
        targets = [mine, *(other for other, _ in others)]
        backends = {mine.row: Scripted(script), **{other.row: Scripted(played) for other, played in (*others, *named)}}
        tiers = tuple((Weighted(each),) for each in targets)
        tiny = Model("tiny", tiers, retries=0) if model is None else msgspec.structs.replace(model, tiers=tiers)
        self.upstreams = Upstreams(backends)
        self.runs = Runs(
            lambda name: tiny if name == "tiny" else None,
            self.upstreams,
            Random(1),
            lambda: 1694268190.7,
        )
        self._begun: list[asyncio.Future[Outcome]] = []
        begin = self.runs.begin

        def remembered(chat: Chat, grant: Grant) -> Begun:
            begun = begin(chat, grant)
            self._begun.append(begun.outcome)
            return begun

        self.runs.begin = remembered  # type: ignore[method-assign]  # to see how they went

    @property
    def outcomes(self) -> list[Outcome]:
        """How the runs went that have ended."""
        return [each.result() for each in self._begun if each.done() and each.exception() is None]

    def begin(self, **parameters: object) -> MemoryTape:
        return self.runs.begin(chat(**parameters), Grant()).tape
