"""All the runs of this process: begins them, keeps count of them, lets them finish when the server drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import chain
from random import Random
from typing import Literal

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import Attempts
from riverrun.routing.deadlines import patient
from riverrun.routing.model import Model
from riverrun.runs.branches import branches
from riverrun.runs.run import Outcome, Run, Upstreams
from riverrun.runs.thoughts import Thoughts
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Head, Signal
from riverrun.tapes.memory import MemoryTape
from riverrun.wire.chunk import Identity
from riverrun.wire.request import Chat

log = logging.getLogger("riverrun.runs")

REASONING = {
    "reasoning_content": (b"reasoning_content",),
    "reasoning": (b"reasoning",),
    "both": (b"reasoning_content", b"reasoning"),
}

PADDING = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Grant(msgspec.Struct, frozen=True):
    """Who asks: the tenant that owns the answer, the caller that waits its turn, and the client's own request id."""

    tenant: str = "local"
    caller: str = ""
    client_request_id: str | None = None


def draining() -> Failure:
    """What a request hears that comes while the server ends."""
    return Failure(Cause.OVERLOADED, "This server is shutting down; ask again in a moment.", retry_after=1.0)


class Begun(msgspec.Struct, frozen=True):
    """A run that has begun: the tape it writes, and how it went, once that is known."""

    tape: MemoryTape
    outcome: asyncio.Future[Outcome]


class Runs:
    """`models` finds a model (None: unknown); `now` gives Unix seconds.

    `reasoning` names the field or fields in which clients are given what a model thinks.
    """

    def __init__(
        self,
        models: Callable[[str], Model | None],
        upstreams: Upstreams,
        random: Random,
        now: Callable[[], float],
        reasoning: Literal["reasoning_content", "reasoning", "both"] = "reasoning_content",
    ) -> None:
        self.draining = False
        self._models = models
        self._upstreams = upstreams
        self._random = random
        self._now = now
        self.thoughts = Thoughts()
        self._reasoning = REASONING[reasoning]
        self._runs: dict[asyncio.Task[Outcome], Run] = {}

    @property
    def running(self) -> int:
        return len(self._runs)

    def begin(self, chat: Chat, grant: Grant) -> Begun:
        """Starts the answer and returns the tape that it is written to. Raises Failure where nobody can answer."""
        if self.draining:
            raise draining()
        model = self._models(chat.model)
        if model is None:
            raise Failure(
                Cause.UNKNOWN_MODEL,
                f"The model `{chat.model}` does not exist or you do not have access to it. "
                "GET /v1/models lists those that answer here.",
            )
        chat = self.thoughts.completed(grant.tenant, chat)
        ask = Ask(chat, f"chatcmpl-{self._random.getrandbits(128):032x}", int(self._now()), grant.caller)
        asks, attempts = self._branches(ask, model)
        run, tape = self._run(ask, model, grant)
        task = asyncio.create_task(self._answer(run, asks, attempts, grant))
        self._runs[task] = run
        task.add_done_callback(self._ended)
        return Begun(tape, task)

    async def idle(self) -> None:
        """Returns when nothing runs."""
        while self._runs:
            await asyncio.wait(self._runs)

    def interrupt(self) -> None:
        """The server stops now: whoever still reads is told so."""
        for run in self._runs.values():
            run.fail(Failure(Cause.UPSTREAM_INTERRUPTED, "The server was stopped before the answer was complete."))

    def _ended(self, task: asyncio.Task[Outcome]) -> None:
        del self._runs[task]
        if not task.cancelled() and task.exception() is not None:
            log.error("a run failed by a fault of ours", exc_info=task.exception())

    def _run(self, ask: Ask, model: Model, grant: Grant) -> tuple[Run, MemoryTape]:
        def signalled(signal: Signal) -> None:
            run.cancel()

        assembler = Assembler(Identity(ask.id, ask.created, model.name), self._plan(ask.chat))
        tape = MemoryTape(Head(ask.id, ask.created, grant.tenant), signalled)
        run = Run(ask, model, tape, assembler, self._upstreams)
        return run, tape

    def _branches(self, ask: Ask, model: Model) -> tuple[list[Ask], list[Attempts]]:
        targets = [patient(target, ask.chat) for target in model.order(self._random)]
        fallbacks = {
            cause: tuple(patient(target, ask.chat) for target in named) for cause, named in model.fallbacks.items()
        }
        asks = branches(ask, [*targets, *chain.from_iterable(fallbacks.values())], self._random)
        return asks, [Attempts(targets, model.retries, self._random, fallbacks) for _ in asks]

    async def _answer(self, run: Run, asks: list[Ask], attempts: list[Attempts], grant: Grant) -> Outcome:
        outcome = await run.answer(asks, attempts)
        if run.signed and isinstance(outcome.ending, Finished):
            self.thoughts.remember(grant.tenant, await run.tape.ended())
        return outcome

    def _plan(self, chat: Chat) -> Plan:
        return Plan(
            n=chat.n,
            include_usage=chat.include_usage,
            logprobs=bool(chat.request.logprobs),
            functions=chat.request.functions is not None,
            thoughts=self._reasoning,
            messages=chat.body.get("messages"),
            pad=self._padding if chat.include_obfuscation else None,
        )

    def _padding(self, size: int) -> str:
        """Fills a chunk up to a multiple of 64 bytes, so that its length tells nothing of a token's."""
        return "".join(self._random.choices(PADDING, k=64 - size % 64))
