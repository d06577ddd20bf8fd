"""A run: one ask being answered onto its tape.

From its start to its end it is plain calls. Chunks pass through `heard` from the upstream's socket to the tape, and the
ending of the last branch closes the tape in the same call. Only what comes from the tape's side (nobody reads any more,
it can't be written) waits for the loop's next turn, because the tape may be in the middle of telling its readers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from riverrun.failures import Failure
from riverrun.routing.attempts import Attempts
from riverrun.routing.model import Model
from riverrun.routing.target import Target
from riverrun.runs.attempt import Attempt, ours
from riverrun.runs.books import Account
from riverrun.runs.branch import Branch, Upstreams
from riverrun.runs.takeover import Broken
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler
from riverrun.stream.deltas import Delta
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, OwnTape
from riverrun.wire.chunk import CompletionUsage, Identity
from riverrun.wire.errors import error_body

log = logging.getLogger("riverrun.runs")

NOTHING: list[bytes] = []
"""What an assembler has pushed and nobody has taken: the last words of a stream that waits are kept by its tape."""


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


class Run:
    """Answers `ask` onto `tape`. `over` is told once, last, how it went; `outcome` is for it to fill."""

    __slots__ = (
        "_account",
        "_began",
        "_branches",
        "_ending",
        "_first_content",
        "_loop",
        "_model",
        "_over",
        "_target",
        "ask",
        "assembler",
        "outcome",
        "tape",
        "upstreams",
    )

    def __init__(
        self,
        ask: Ask,
        model: Model,
        tape: OwnTape,
        assembler: Assembler,
        upstreams: Upstreams,
        account: Account,
        over: Callable[[Run, Outcome], None],
    ) -> None:
        self.ask = ask
        self.tape = tape
        self._model = model
        self.assembler = assembler
        self.upstreams = upstreams
        self._account = account
        self._over = over
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._began = self._loop.time()
        self._first_content: float | None = None
        self._target = model.tiers[0][0].target.name
        self._ending: Ending | None = None  # how it ends, or has ended
        self._branches: list[Branch] = []

    def start(self, asks: Sequence[Ask], attempts: Sequence[Attempts], taken_over: Broken | None = None) -> None:
        """Asks the first targets; `asks` and `attempts` are its branches', one each.

        `taken_over`: why another owner's run ended; this one goes on with what is on the tape.
        """
        for index, ask in enumerate(asks):
            self._branches.append(Branch(self, index, ask, self._model, attempts[index]))
        try:
            for branch in tuple(self._branches):
                if self._ending is not None:
                    break
                if taken_over is None or taken_over.facts is None:
                    branch.start()
                else:
                    self._take_over(branch, asks[branch.index], taken_over.facts, taken_over.failure)
        except Exception:
            log.exception("a run failed by a fault of ours")
            self._end(Refused(ours()))

    def _take_over(self, branch: Branch, ask: Ask, facts: Committed, failure: Failure) -> None:
        if self._first_content is None:
            self._first_content, self._target = 0.0, facts.target
            if self.tape.facts is None:
                self.tape.commit(facts)
        if self.unfinished(ask.choices):
            branch.take_over(facts.target, failure)
        else:
            branch.ending = Finished()
            self.ended(branch, branch.ending)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._end_soon(Cancelled())

    def fail(self, failure: Failure) -> None:
        """It cannot go on, for a reason that is not an upstream's."""
        self._end_soon(Refused(failure))

    # What its branches ask and say; `heard` comes from the socket's read callback.

    def asked(self, target: Target) -> int:
        self.upstreams.asked(target)
        return self._account.asked(target.name)

    def settled(self, attempt: Attempt, ending: Ending) -> None:
        self._account.answered(attempt.number, attempt.target.name, ending, attempt.tally)

    def judged(self, target: Target, failure: Failure | None) -> None:
        if failure is not None and self._first_content is None:
            self._target = target.name
        self.upstreams.judged(target, failure)

    def payloads(self) -> list[bytes]:
        return self.tape.payloads()

    def unfinished(self, choices: tuple[int, ...]) -> tuple[int, ...]:
        return self.assembler.unfinished(choices)

    def spent(self, tokens: int) -> None:
        self.assembler.spent += tokens

    def heard(self, attempt: Attempt, deltas: list[Delta]) -> None:
        """The steady path of a stream: it is short on purpose."""
        if self._ending is not None:
            return
        assembler = self.assembler
        if not assembler.committed:
            self._introduce(attempt.target)
        try:
            assembler.push(deltas, attempt.source)
        finally:  # what came before a fault was said
            payloads, assembler.pushed = assembler.pushed, NOTHING
            if payloads:
                self._write(payloads, attempt)

    def _write(self, payloads: list[bytes], attempt: Attempt) -> None:
        try:
            self.tape.append(payloads)
        except Failure as failure:  # of the tape, and no upstream's
            self.fail(failure)
            return
        if self._first_content is None:
            self._first_content = self._loop.time() - self._began
            self.tape.commit(Committed(attempt.target.name, attempt.dropped))

    def ended(self, branch: Branch, ending: Ending) -> None:
        if type(ending) is Finished:
            for each in self._branches:
                if type(each.ending) is not Finished:
                    return
        self._end(ending)

    def split(self, branch: Branch, parts: list[Branch]) -> None:
        place = self._branches.index(branch)
        self._branches[place : place + 1] = parts

    def _introduce(self, target: Target) -> None:
        """The first to say something gives the stream its name; the upstream's own word comes with its deltas."""
        self._target = target.name
        known = self.assembler.identity
        self.assembler.identity = Identity(known.id, known.created, target.model, target.fingerprint)

    def _end(self, ending: Ending) -> None:
        """By its branches, or by a fault of ours."""
        if self._ending is None:
            self._ending = ending
            self._close()

    def _end_soon(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
            self._loop.call_soon(self._close)

    def _close(self) -> None:
        """Stops what still runs, writes the tail of the tape, and tells how it went. Happens once, whatever happens.

        Branches know their run, and it lets go of them, so that no collector has to find either.
        """
        assert self._ending is not None
        ending, usage = self._ending, None
        branches, self._branches = self._branches, []
        try:
            for branch in branches:
                if branch.ending is None:
                    branch.stop()
            usage = self.assembler.usage if self.assembler.committed else None
            ending = self._written(ending, usage)
        except Exception:
            log.exception("a run failed by a fault of ours")
            ending = Refused(ours())
            if self.tape.ending is None:
                tell(self.tape, ours())
        finally:
            self._told(ending, usage)

    def _told(self, ending: Ending, usage: CompletionUsage | None) -> None:
        """Books that fail keep no run: whoever waits for its end must hear of it."""
        seconds = self._loop.time() - self._began
        limited = type(ending) is Finished and self.assembler.limited
        try:
            self._account.over(ending, seconds, self._first_content)
        except Exception:
            log.exception("the end of a run could not be counted")
        finally:
            self._over(
                self, Outcome(self.ask, self._target, ending, usage, self._first_content, seconds, limited=limited)
            )

    def _written(self, ending: Ending, usage: CompletionUsage | None) -> Ending:
        """The tail of the tape: the last chunks of an answer that is complete, or the error frame. Returns its end."""
        if type(ending) is Finished:
            try:
                self.tape.append(self.assembler.finish())
            except Failure as failure:
                ending = Refused(failure)
        if type(ending) is Refused:
            tell(self.tape, ending.failure)
        else:
            self.tape.close(ending, usage if type(ending) is Finished else None)
        return ending


def tell(tape: OwnTape, failure: Failure) -> None:
    """Ends a tape with the error frame, for readers who have begun to read."""
    frame = error_body(failure, request_id=tape.head.id, stream_id=tape.head.id, last_seq=tape.written + 1)
    try:
        with suppress(Failure):  # a tape that is broken tells its readers itself
            tape.append([frame])
    finally:
        failure.__traceback__ = None  # a tape is kept, and would keep everything that the failure came through
        tape.close(Refused(failure), None)
