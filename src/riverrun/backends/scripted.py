"""A backend that plays a script, with its timings and its faults: for demos, tests and simulations.

It takes time from the running loop alone, so that a loop with a virtual clock plays an hour in no time.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from riverrun.backends.contract import Started
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, FinishReason, Open, Text, Usage
from riverrun.stream.flow import Call, Cancelled, Ending, Finished, Refused, Sink


class Say(msgspec.Struct, frozen=True):
    """One push; with no deltas, a sign of life. They name our choices, those of `Ask.choices`."""

    deltas: tuple[Delta, ...] = ()


class Wait(msgspec.Struct, frozen=True):
    """Silence for so many seconds; `math.inf` is a stall."""

    seconds: float


class Fail(msgspec.Struct, frozen=True):
    """The call ends with this failure."""

    failure: Failure


class End(msgspec.Struct, frozen=True):
    """The call ends as finished."""


Step = Say | Wait | Fail | End
Script = Callable[[Ask], Iterable[Step]]
"""What is played to an ask. A script that is over without End or Fail was cut."""


class Scripted:
    """A Backend that plays one script to every ask."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def start(self, ask: Ask, target: Target, sink: Sink, started: Started) -> Call:
        """`started` is called before this returns, the sink only after it."""
        call = _Call(iter(self._script(ask)), sink)
        started(target, ())
        return call


def steps(*script: Step) -> Script:
    """The same steps for every ask."""
    return lambda ask: script


def text(words: str, pace: float = 0.0, reason: FinishReason = "stop") -> Script:
    """Says `words` in every choice that is asked for, a word at a time with `pace` seconds before each, and ends.

    Its usage counts one token for each word said, and one for the prompt.
    """
    pieces = [_literal(piece) for piece in re.findall(r"\s*\S+|\s+$", words)]

    def script(ask: Ask) -> Iterator[Step]:
        choices = ask.choices
        yield Say(tuple(Open(choice) for choice in choices))
        for piece in pieces:
            yield Wait(pace)
            yield Say(tuple(Text(choice, piece) for choice in choices))
        yield Say((*(Finish(choice, reason) for choice in choices), Usage(1, len(pieces) * len(choices))))
        yield End()

    return script


def _literal(piece: str) -> bytes:
    return msgspec.json.encode(piece)


class _Call:
    def __init__(self, script: Iterator[Step], sink: Sink) -> None:
        self._script = script
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._next: asyncio.Handle | None = self._loop.call_soon(self._play)

    def cancel(self) -> None:
        self._end(Cancelled())

    def _play(self) -> None:
        """Plays up to the next silence."""
        for step in self._script:
            if isinstance(step, Say):
                self._sink.push(list(step.deltas))
            elif isinstance(step, Wait):
                self._wait(step.seconds)
                return
            else:
                self._end(Refused(step.failure) if isinstance(step, Fail) else Finished())
            if self._ended:
                return
        self._end(Refused(Failure(Cause.UPSTREAM_INTERRUPTED, "The script ended before its answer did.")))

    def _wait(self, seconds: float) -> None:
        self._next = None if math.isinf(seconds) else self._loop.call_later(seconds, self._play)

    def _end(self, ending: Ending) -> None:
        if self._ended:
            return
        self._ended = True
        if self._next is not None:
            self._next.cancel()
        self._sink.end(ending)
