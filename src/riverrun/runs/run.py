"""A run: one ask being answered onto its tape.

It sleeps while chunks flow (they pass through `heard` as plain calls, from the upstream's socket to the tape) and
wakes when the last branch ends, or one fails, or nobody reads any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from riverrun.backends.contract import Backend
from riverrun.failures import Cause, Failure
from riverrun.routing.attempts import Attempts
from riverrun.routing.model import Model
from riverrun.routing.target import Target
from riverrun.runs.attempt import Attempt
from riverrun.runs.books import Account
from riverrun.runs.branch import Branch
from riverrun.runs.takeover import Broken
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, OwnTape
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.errors import error_body


class Outcome(msgspec.Struct, frozen=True):
    """How a run went, for its log line. Times are in seconds from the request; None: it did not come to that.

    `limited`: it finished, and its token limit cut it.
    """

    ask: Ask
    target: str
    ending: Ending
    usage: CompletionUsage | None
    first_content: float | None
    seconds: float
    limited: bool = False


class Upstreams(Protocol):
    """What a run needs of the process it runs in: the way to each target, and how the targets are."""

    def backend(self, target: Target) -> Backend: ...

    def admitted(self, targets: list[Target]) -> set[str]: ...

    def asked(self, target: Target) -> None: ...

    def judged(self, target: Target, failure: Failure | None) -> None: ...

    def takes_prefill(self, target: Target) -> bool: ...

    def prefill_refused(self, target: Target) -> None: ...


class Run:
    """Answers `ask` onto `tape`. `asks` and `attempts` are its branches', one each."""

    def __init__(
        self, ask: Ask, model: Model, tape: OwnTape, assembler: Assembler, upstreams: Upstreams, account: Account
    ) -> None:
        self.ask = ask
        self.tape = tape
        self._model = model
        self._assembler = assembler
        self._upstreams = upstreams
        self._account = account
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._first_content: float | None = None
        self._target = model.tiers[0][0].target.name
        self._over: asyncio.Future[Ending] = self._loop.create_future()
        self._branches: list[Branch] = []

    @property
    def signed(self) -> bool:
        """Whether the answer has signed thoughts, which must come back with what it asked for."""
        return self._assembler.signed

    async def answer(
        self, asks: Sequence[Ask], attempts: Sequence[Attempts], taken_over: Broken | None = None
    ) -> Outcome:
        """Runs to the end and closes the tape, whatever happens.

        `taken_over`: why another owner's run ended; this one goes on with what is on the tape.
        """
        self._branches = [
            Branch(self, index, ask, self._model, each)
            for index, (ask, each) in enumerate(zip(asks, attempts, strict=True))
        ]
        try:
            for branch, ask in zip(list(self._branches), asks, strict=True):
                if not self._over.done():
                    self._begin(branch, ask, taken_over)
            ending = await self._over
        except Exception:
            self._close(Refused(Failure(Cause.INTERNAL, "riverrun failed to answer this; the fault is ours.")))
            raise
        finally:
            for branch in self._branches:
                branch.stop()
        ending = self._close(ending)
        usage = self._assembler.usage if self._assembler.committed else None
        seconds = self._loop.time() - self._began
        self._account.over(ending, seconds, self._first_content)
        limited = isinstance(ending, Finished) and self._assembler.limited
        return Outcome(self.ask, self._target, ending, usage, self._first_content, seconds, limited)

    def _begin(self, branch: Branch, ask: Ask, taken_over: Broken | None) -> None:
        facts = taken_over.facts if taken_over is not None else None
        if taken_over is None or facts is None:
            branch.start()
            return
        if self._first_content is None:
            self._first_content, self._target = 0.0, facts.target
            if self.tape.facts is None:
                self.tape.commit(facts)
        if self.unfinished(ask.choices):
            branch.take_over(facts.target, taken_over.failure)
        else:
            branch.ending = Finished()
            self.ended(branch, branch.ending)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._end(Cancelled())

    def fail(self, failure: Failure) -> None:
        """It cannot go on, for a reason that is not an upstream's."""
        self._end(Refused(failure))

    # What its branches ask and say; `heard` comes from the socket's read callback.

    def backend(self, target: Target) -> Backend:
        return self._upstreams.backend(target)

    def admitted(self, targets: list[Target]) -> set[str]:
        return self._upstreams.admitted(targets)

    def asked(self, target: Target) -> int:
        self._upstreams.asked(target)
        return self._account.asked(target.name)

    def settled(self, attempt: Attempt, ending: Ending) -> None:
        self._account.answered(attempt.number, attempt.target.name, ending, attempt.tally)

    def judged(self, target: Target, failure: Failure | None) -> None:
        if failure is not None and self._first_content is None:
            self._target = target.name
        self._upstreams.judged(target, failure)

    def takes_prefill(self, target: Target) -> bool:
        return self._upstreams.takes_prefill(target)

    def prefill_refused(self, target: Target) -> None:
        self._upstreams.prefill_refused(target)

    def payloads(self) -> list[bytes]:
        return self.tape.payloads()

    def unfinished(self, choices: tuple[int, ...]) -> tuple[int, ...]:
        return self._assembler.unfinished(choices)

    def spent(self, tokens: int) -> None:
        self._assembler.spent += tokens

    def heard(self, branch: Branch, attempt: Attempt, deltas: list[Delta]) -> None:
        if self._over.done():
            return
        if not self._assembler.committed:
            self._introduce(attempt.target)
        try:
            self._assembler.push(deltas, (branch.index, branch.leg))
        finally:  # what came before a fault was said
            self._write(self._assembler.pushed, attempt)

    def _write(self, payloads: list[bytes], attempt: Attempt) -> None:
        if payloads:
            try:
                self.tape.append(payloads)
            except Failure as failure:  # of the tape, and no upstream's
                self.fail(failure)
                return
            if self._first_content is None:
                self._first_content = self._loop.time() - self._began
                self.tape.commit(Committed(attempt.target.name, attempt.dropped))

    def ended(self, branch: Branch, ending: Ending) -> None:
        if isinstance(ending, Refused | Cancelled):
            self._end(ending)
        elif all(isinstance(each.ending, Finished) for each in self._branches):
            self._end(Finished())

    def split(self, branch: Branch, parts: list[Branch]) -> None:
        place = self._branches.index(branch)
        self._branches[place : place + 1] = parts

    def _introduce(self, target: Target) -> None:
        """The first to say something gives the stream its name; the upstream's own word comes with its deltas."""
        self._target = target.name
        self._assembler.identity = msgspec.structs.replace(
            self._assembler.identity, model=target.model, system_fingerprint=target.fingerprint
        )

    def _end(self, ending: Ending) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    def _close(self, ending: Ending) -> Ending:
        """The tail of the tape: the last chunks of an answer that is complete, or the error frame."""
        if isinstance(ending, Finished):
            try:
                self.tape.append(self._assembler.finish())
            except Failure as failure:
                ending = Refused(failure)
        usage = self._assembler.usage if isinstance(ending, Finished) else None
        if isinstance(ending, Refused):
            tell(self.tape, ending.failure)
        else:
            self.tape.close(ending, usage)
        return ending


def tell(tape: OwnTape, failure: Failure) -> None:
    """Ends a tape with the error frame, for readers who have begun to read."""
    frame = error_body(failure, request_id=tape.head.id, stream_id=tape.head.id, last_seq=tape.written + 1)
    with suppress(Failure):  # a tape that is broken tells its readers itself
        tape.append([frame])
    tape.close(Refused(failure), None)
