"""A run: one ask being answered onto its tape.

It sleeps while chunks flow (they pass through `heard` as plain calls, from the upstream's socket to the tape) and
wakes when the last branch ends, or one fails, or nobody reads any more. It owns its branches and their timers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from riverrun.backends.contract import Backend
from riverrun.failures import Attempt, Cause, Failure
from riverrun.routing.target import Target
from riverrun.runs.watch import Watch
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler
from riverrun.stream.deltas import Delta, Open, Usage
from riverrun.stream.flow import Call, Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, Tape
from riverrun.wire.chunk import CompletionUsage
from riverrun.wire.errors import error_body

QUIET = frozenset({Open, Usage})
"""Deltas that say nothing of the answer: they stop no first-token deadline."""


class Outcome(msgspec.Struct, frozen=True):
    """How a run went, for its log line. Times are in seconds from the request; None: it did not come to that."""

    ask: Ask
    target: str
    ending: Ending
    usage: CompletionUsage | None
    first_content: float | None
    seconds: float


class Branch:
    """One upstream call of a run: a sink that knows whose it is."""

    def __init__(self, run: Run, index: int, ask: Ask, target: Target) -> None:
        self.run = run
        self.index = index
        self.ask = ask
        self.target = target
        self.call: Call | None = None
        self.ending: Ending | None = None
        self.watch = Watch(target.deadlines, self.expired)

    def started(self, target: Target, dropped: tuple[str, ...]) -> None:
        self.target = target
        self.watch.start()
        self.run.started(target, dropped)

    def push(self, deltas: list[Delta]) -> None:
        if self.ending is None:
            self.watch.heard(content=any(type(delta) not in QUIET for delta in deltas))
            if deltas:
                self.run.heard(self, deltas)

    def end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.watch.stop()
            self.run.branch_ended(self)

    def expired(self, failure: Failure) -> None:
        """A deadline passed: the call is left at once."""
        self.end(Refused(failure))
        self.stop()

    def stop(self) -> None:
        self.watch.stop()
        if self.call is not None:
            self.call.cancel()


class Run:
    """Answers `ask` onto `tape`, through `asks` (one per branch) to `target`."""

    def __init__(self, ask: Ask, asks: Sequence[Ask], target: Target, tape: Tape, assembler: Assembler) -> None:
        self.ask = ask
        self.tape = tape
        self.target = target
        self._assembler = assembler
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._first_content: float | None = None
        self._dropped: tuple[str, ...] = ()
        self._over: asyncio.Future[Ending] = self._loop.create_future()
        self._branches = [Branch(self, index, each, target) for index, each in enumerate(asks)]

    async def answer(self, backend: Backend) -> Outcome:
        """Runs to the end and closes the tape, whatever happens."""
        try:
            for branch in self._branches:
                if not self._over.done():
                    branch.call = backend.start(branch.ask, branch.target, branch, branch.started)
            ending = await self._over
        except Exception as error:
            self._close(Refused(Failure(Cause.INTERNAL, "riverrun failed to answer this; the fault is ours.")))
            raise error
        finally:
            for branch in self._branches:
                branch.stop()
        ending = self._close(ending)
        usage = self._assembler.usage if self._assembler.committed else None
        seconds = self._loop.time() - self._began
        return Outcome(self.ask, self.target.name, ending, usage, self._first_content, seconds)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._end(Cancelled())

    def fail(self, failure: Failure) -> None:
        """It cannot go on, for a reason that is not an upstream's."""
        self._end(Refused(failure))

    # What the branches say, from the socket's read callback.

    def started(self, target: Target, dropped: tuple[str, ...]) -> None:
        self.target = target
        self._dropped = dropped
        if not self._assembler.committed:
            self._assembler.identity = msgspec.structs.replace(
                self._assembler.identity, model=target.name, system_fingerprint=target.fingerprint
            )

    def heard(self, branch: Branch, deltas: list[Delta]) -> None:
        if self._over.done():
            return
        try:
            payloads = self._assembler.push(deltas, branch.index)
        except Failure as failure:
            branch.end(Refused(failure))
            return
        if payloads:
            self.tape.append(payloads)
            if self._first_content is None:
                self._first_content = self._loop.time() - self._began
                self.tape.commit(Committed(self.target.name, self._dropped))

    def branch_ended(self, branch: Branch) -> None:
        if isinstance(branch.ending, Refused | Cancelled):
            self._end(branch.ending)
        elif all(isinstance(each.ending, Finished) for each in self._branches):
            self._end(Finished())

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
        if isinstance(ending, Refused):
            ending = Refused(self._blamed(ending.failure))
            last = self.tape.last + 1
            frame = error_body(ending.failure, request_id=self.ask.id, stream_id=self.ask.id, last_seq=last)
            self.tape.append([frame])
        self.tape.close(ending, self._assembler.usage if isinstance(ending, Finished) else None)
        return ending

    def _blamed(self, failure: Failure) -> Failure:
        """The failure with the attempt that it ended, where an upstream was asked at all."""
        if failure.cause.value.fault == "upstream" and not failure.attempts:
            failure.attempts = (Attempt(self.target.name, failure.cause.name.lower()),)
        return failure
