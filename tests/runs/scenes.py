"""Runs with scripted upstreams, for the tests of this room and of the server's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from random import Random

import msgspec

from riverrun.backends.scripted import Script, Scripted, Step
from riverrun.routing.model import Model, Weighted
from riverrun.routing.target import Deadlines, Target
from riverrun.runs.intent import Habits, Intent
from riverrun.runs.run import Outcome
from riverrun.runs.runs import Begun, Grant, Runs
from riverrun.runs.upstreams import Upstreams
from riverrun.stream.ask import Ask
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.own import Own
from riverrun.wire.request import Chat, parse_chat
from tests.runs.ledgers import Kept, books
from tests.tapes.kept import in_memory

HABITS, INTENT = Habits(), Intent()
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
        habits: Habits = HABITS,
        tapes: MemoryTapes | None = None,
        **facts: object,
    ) -> None:
        mine = target("tiny", **facts)
        targets = [mine, *(other for other, _ in others)]
        played = [(mine, script), *others, *named]
        backends = {each.row: Scripted(self._remembered(script)) for each, script in played}
        tiers = tuple((Weighted(each),) for each in targets)
        tiny = Model("tiny", tiers, retries=0) if model is None else msgspec.structs.replace(model, tiers=tiers)
        self.upstreams = Upstreams(backends)
        self.tapes = tapes or in_memory()
        self.asks: list[Ask] = []
        """What the upstreams were asked."""
        self.ledger = Kept()
        self.runs = Runs(
            lambda name: tiny if name == "tiny" else None,
            self.upstreams,
            Random(1),
            lambda: 1694268190.7,
            self.tapes,
            books(self.ledger),
            habits,
        )
        self._begun: list[asyncio.Future[Outcome]] = []
        begin = self.runs.begin

        async def remembered(chat: Chat, grant: Grant, raw: bytes = b"{}", intent: Intent = INTENT) -> Begun:
            begun = await begin(chat, grant, raw, intent)
            if begun.outcome is not None:
                self._begun.append(begun.outcome)
            return begun

        self.runs.begin = remembered  # type: ignore[method-assign]  # to see how they went

    def _remembered(self, script: Script) -> Script:
        def remembered(ask: Ask) -> Iterable[Step]:
            self.asks.append(ask)
            return script(ask)

        return remembered

    @property
    def outcomes(self) -> list[Outcome]:
        """How the runs went that have ended."""
        return [each.result() for each in self._begun if each.done() and each.exception() is None]

    async def begin(self, **parameters: object) -> Own:
        tape = (await self.runs.begin(chat(**parameters), Grant())).tape
        assert isinstance(tape, Own)
        return tape
