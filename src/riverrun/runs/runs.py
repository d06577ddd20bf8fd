"""All the runs of this process: begins them, keeps count of them, lets them finish when the server drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from itertools import chain
from random import Random

import msgspec

from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import Attempts
from riverrun.routing.deadlines import patient
from riverrun.routing.model import Model
from riverrun.runs import takeover
from riverrun.runs.books import Account, Books
from riverrun.runs.branch import Upstreams
from riverrun.runs.branches import branches
from riverrun.runs.ear import Ear
from riverrun.runs.intent import Habits, Intent
from riverrun.runs.presence import Presence
from riverrun.runs.retries import Retries
from riverrun.runs.run import Outcome, Run, tell
from riverrun.runs.takeover import Broken
from riverrun.runs.thoughts import Thoughts, lacks_thoughts
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.continued import partial
from riverrun.stream.flow import Cancelled, Finished, Refused
from riverrun.tapes.contract import Head, Listener, OwnTape, Taken, Tape, Tapes
from riverrun.wire.chunk import Identity
from riverrun.wire.digest import alike, digest, key_digest
from riverrun.wire.request import Chat

log = logging.getLogger("riverrun.runs")

REASONING = {
    "reasoning_content": (b"reasoning_content",),
    "reasoning": (b"reasoning",),
    "both": (b"reasoning_content", b"reasoning"),
}

LATE = 3
"""Tries to begin with a key that is in use when we ask, and free when we look for its tape."""

PADDING = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Grant(msgspec.Struct, frozen=True):
    """Who asks: the tenant that owns the answer, the caller that waits its turn, and the client's own request id."""

    tenant: str = "local"
    caller: str = ""
    client_request_id: str | None = None


def draining() -> Failure:
    """What a request hears that comes while the server ends."""
    return Failure(Cause.OVERLOADED, "This server is shutting down; ask again in a moment.", retry_after=1.0)


def unknown(model: str) -> Failure:
    """What a request hears for a model that is not here."""
    return Failure(
        Cause.UNKNOWN_MODEL,
        f"The model `{model}` does not exist or you do not have access to it. "
        "GET /v1/models lists those that answer here.",
    )


class Begun(msgspec.Struct, frozen=True):
    """What a request has come to: the tape with its answer, and how the run that it began goes; None: it began none.

    `replayed`: the answer was there before.
    """

    tape: Tape
    outcome: asyncio.Future[Outcome] | None
    replayed: bool = False


class Runs:
    """`models` finds a model (None: unknown); `now` gives Unix seconds."""

    def __init__(
        self,
        models: Callable[[str], Model | None],
        upstreams: Upstreams,
        random: Random,
        now: Callable[[], float],
        tapes: Tapes,
        books: Books,
        habits: Habits = Habits(),  # noqa: B008 - frozen
    ) -> None:
        self.draining = False
        self._models = models
        self._upstreams = upstreams
        self._random = random
        self._now = now
        self._tapes = tapes
        self._books = books
        self._habits = habits
        self._retries = Retries(tapes) if habits.join_retries else None
        self.thoughts = Thoughts(tapes)
        self._reasoning = REASONING[habits.reasoning]
        self._runs: dict[Run, Ear] = {}
        self._busy: set[asyncio.Task[None]] = set()
        """What must be waited for beside them: tapes that are taken over, and what is left to do after an answer."""
        self._leaving: asyncio.Future[None] | None = None
        self._none_run: asyncio.Event | None = None  # made for those who wait for it

    @property
    def running(self) -> int:
        return len(self._runs)

    async def begin(
        self,
        chat: Chat,
        grant: Grant,
        raw: bytes = b"{}",
        intent: Intent = Intent(),  # noqa: B008 - frozen
    ) -> Begun:
        """Starts the answer and returns the tape that it is written to; or the tape of an earlier request's answer,
        where `intent` names it. `raw` is the request's body. Raises Failure where nobody can answer.
        """
        model = self._models(chat.model)
        if model is None:
            raise unknown(chat.model)
        content = digest(chat.body) if intent.key is not None or self._retries is not None else ""
        if self._retries is not None and intent.key is None and intent.retries:
            joined = await self._retries.joined(grant.tenant, content)
            if joined is not None:
                return Begun(joined, None, replayed=joined.ending is not None)
        if self.draining:
            raise draining()
        key = key_digest(grant.tenant, intent.key) if intent.key is not None else ""
        if lacks_thoughts(chat):
            chat = await self.thoughts.completed(grant.tenant, chat)
        ask = Ask(chat, "chatcmpl-" + self._random.randbytes(16).hex(), int(self._now()), grant.caller)
        asks, attempts = self._branches(ask, model)
        store = bool(chat.request.store)
        policy = self._habits.policy(intent, store=store)
        seed = asks[0].chat.request.seed
        head = Head(
            ask.id, ask.created, grant.tenant, msgspec.Raw(raw), key, content, seed, policy, store, grant.caller
        )
        ear = Ear()
        for _ in range(LATE):
            tape = await self._tapes.create(head, ear)
            if not isinstance(tape, Taken):
                run = self._run(ask, model, tape, ear, grant)
                if intent.resumes:  # what it goes on with is not here: nobody is asked for another
                    run.cancel()
                run.start(asks, attempts)
                return Begun(tape, run.outcome)
            found = await self._named(tape, grant, content)
            if found is not None:
                return found
        raise Failure(
            Cause.OVERLOADED, "The request with this Idempotency-Key is just ending; ask again.", retry_after=1.0
        )

    async def idle(self) -> None:
        """Returns when nothing runs."""
        while self._runs or self._busy:
            if self._runs:
                self._none_run = self._none_run or asyncio.Event()
                self._none_run.clear()
                await self._none_run.wait()
            if self._busy:
                await asyncio.wait(self._busy)

    def interrupt(self) -> None:
        """The server stops now. Where others can go on with its answers they are left to them, and their readers are
        told to come back; else whoever still reads is told that this was all."""
        if self._tapes.shared:
            self._leaving = self._leaving or asyncio.ensure_future(self._tapes.close())
            return
        for run in self._runs:
            run.fail(Failure(Cause.UPSTREAM_INTERRUPTED, "The server was stopped before the answer was complete."))

    async def close(self) -> None:
        """Interrupts what still runs, and returns when nothing does and the tapes are closed."""
        self.interrupt()
        if self._leaving is not None:
            await self._leaving
        await self.idle()
        if self._leaving is None:
            await self._tapes.close()
        self._books.metrics.tell()

    def adopt(self, tape: OwnTape) -> Listener:
        """Goes on with an answer whose owner has died, where its model still can; else it ends with an error."""
        ear = Ear()
        self._do(self._adopt(tape, ear))
        return ear

    async def _adopt(self, tape: OwnTape, ear: Ear) -> None:
        try:
            await self._take_over(tape, ear)
        except Exception as error:  # whatever is on a tape must not leave its readers waiting for ever
            fault = not isinstance(error, Failure | ValueError)
            log.log(logging.ERROR if fault else logging.WARNING, "nobody can go on with %s: %s", tape.head.id, error)
            tell(tape, takeover.died())

    async def _take_over(self, tape: OwnTape, ear: Ear) -> None:
        head = tape.head
        payloads = tape.payloads()
        chat = takeover.request(head)
        over = takeover.ending(payloads)
        events = payloads if over is None else payloads[:-1]
        said = sum(partial(events, choice).deltas for choice in range(chat.n))
        ask = Ask(chat, head.id, head.created, head.caller)
        model = self._models(chat.model)
        repeating = model.deterministic if model is not None else frozenset[str]()
        account = self._books.taken_over(ask, tape.epoch, said, repeating)
        try:
            if over is not None:
                tape.close(over, self._restored(tape, events, chat).usage if isinstance(over, Finished) else None)
                account.over(over, 0.0, None)
            else:
                await self._go_on(tape, ear, ask, account, said)
        except Exception:
            account.over(Refused(takeover.died()), 0.0, None)
            raise

    async def _go_on(self, tape: OwnTape, ear: Ear, ask: Ask, account: Account, said: int) -> None:
        """A run that goes on with this tape, of which `said` deltas were said."""
        chat = await self.thoughts.completed(tape.head.tenant, ask.chat)
        ask = msgspec.structs.replace(ask, chat=chat)
        model = self._models(chat.model)
        if model is None:
            raise unknown(chat.model)
        asks, attempts = self._branches(ask, model)
        payloads = tape.payloads()
        assembler = self._restored(tape, payloads, chat)
        spoken = said > 0 or len(assembler.unfinished(tuple(range(chat.n)))) < chat.n
        facts = takeover.began(tape, payloads, attempts[0].targets) if spoken else None
        run = Run(ask, model, tape, assembler, self._upstreams, account, self._over)
        presence = Presence(tape.head.policy, self._habits.grace, run.cancel)
        presence.abandoned()  # before it hears of readers that have come already
        ear.hears(run, presence, None)
        self._runs[run] = ear
        run.start(asks, attempts, Broken(takeover.died(), facts))

    def _restored(self, tape: OwnTape, payloads: list[bytes], chat: Chat) -> Assembler:
        return takeover.assembler(tape, payloads, chat.model, self._plan(chat))

    def _run(self, ask: Ask, model: Model, tape: OwnTape, ear: Ear, grant: Grant) -> Run:
        """A new run, which counts from now on. It has yet to start."""
        assembler = Assembler(Identity(ask.id, ask.created, model.name), self._plan(ask.chat))
        account = self._books.begun(ask, grant.tenant, grant.client_request_id)
        run = Run(ask, model, tape, assembler, self._upstreams, account, self._over)
        ear.hears(run, Presence(tape.head.policy, self._habits.grace, run.cancel), self._retries)
        self._runs[run] = ear
        return run

    async def _named(self, taken: Taken, grant: Grant, content: str) -> Begun | None:
        """The answer to the request that came before with the same key. None: the key has become free."""
        if not alike(taken.digest, content):
            raise Failure(
                Cause.KEY_REUSED,
                "This Idempotency-Key was used with another request body. A key names one request: take a new one.",
                param="Idempotency-Key",
            )
        tape = await self._tapes.open(grant.tenant, taken.id)
        if tape is None:
            await asyncio.sleep(0)
            return None
        if isinstance(tape.ending, Refused | Cancelled) and tape.facts is None:  # it is just being forgotten
            await self._tapes.forget_key(tape.head)
            return None
        return Begun(tape, None, replayed=tape.ending is not None)

    def _over(self, run: Run, outcome: Outcome) -> None:
        """It has ended; what must be written of it is written before anybody knows how."""
        self._runs.pop(run).over()
        key_is_ours = bool(run.tape.head.key) and self._leaving is None  # else it is theirs who go on with the answer
        forgets = key_is_ours and outcome.first_content is None  # nothing was generated: it is free for another try
        remembers = type(outcome.ending) is Finished and run.assembler.signed
        if forgets or remembers:
            self._do(self._after(run, outcome, forgets=forgets, remembers=remembers))
        else:
            _settle(run, outcome)
        if self._none_run is not None and not self._runs:
            self._none_run.set()

    async def _after(self, run: Run, outcome: Outcome, *, forgets: bool, remembers: bool) -> None:
        tape = run.tape
        try:
            if forgets:
                await self._tapes.forget_key(tape.head)
            if remembers:
                await self.thoughts.remember(tape.head.tenant, await tape.ended())
        except Exception:  # Failure too: nobody else hears of it
            log.exception("what had to be written after %s could not be", tape.head.id)
        finally:
            _settle(run, outcome)

    def _do(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(what)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    def _branches(self, ask: Ask, model: Model) -> tuple[list[Ask], list[Attempts]]:
        everyone = targets = patient(model.order(self._random), ask.chat)
        fallbacks = model.fallbacks
        if fallbacks:
            fallbacks = {cause: tuple(patient(list(named), ask.chat)) for cause, named in fallbacks.items()}
            everyone = [*targets, *chain.from_iterable(fallbacks.values())]
        asks = branches(ask, everyone, self._random)
        attempts = Attempts(targets, model.retries, self._random, fallbacks)
        return asks, [attempts] if len(asks) == 1 else [attempts.copy() for _ in asks]

    def _plan(self, chat: Chat) -> Plan:
        request = chat.request
        return Plan(
            n=chat.n,
            include_usage=chat.include_usage,
            logprobs=bool(request.logprobs),
            functions=request.functions is not None,
            thoughts=self._reasoning,
            messages=chat.body.get("messages"),
            pad=self._padding if chat.include_obfuscation else None,
        )

    def _padding(self, size: int) -> str:
        """Fills a chunk up to a multiple of 64 bytes, so that its length tells nothing of a token's."""
        return "".join(self._random.choices(PADDING, k=64 - size % 64))


def _settle(run: Run, outcome: Outcome) -> None:
    """Unless it was cancelled: whoever waits for an outcome, and is cancelled, cancels it too."""
    if not run.outcome.done():
        run.outcome.set_result(outcome)
