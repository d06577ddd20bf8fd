"""One line per request, as text or as JSON. Never a prompt, an answer or a key (SEC7).

In a server of our own the lines go straight to stderr, which costs a third of the way through `logging`. Everything
else takes that way, and so do the lines of an application that somebody else hosts.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

import msgspec

from riverrun.config import LogConfig
from riverrun.failures import Failure
from riverrun.runs.run import Outcome
from riverrun.server.exchange import Exchange
from riverrun.stream.flow import Cancelled, Ending, Refused

access = logging.getLogger("riverrun.access")


class Line(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is said of a request. Times are in seconds; `first` is the time to the first content.

    `way`: how it came to an answer that another request began.
    """

    id: str
    status: int
    what: str
    way: Literal["joined", "replayed", "resumed"] | None = None
    client_request_id: str | None = None
    target: str | None = None
    first: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    ending: str | None = None

    def json(self) -> str:
        rounded = {name: round(value, 4) for name in ("first", "seconds") if (value := getattr(self, name)) is not None}
        return msgspec.json.encode(msgspec.structs.replace(self, **rounded)).decode()

    def text(self) -> str:
        way = f" {self.way}" if self.way else ""
        named = f" ({self.client_request_id})" if self.client_request_id else ""
        target = f" {self.target}" if self.target else ""
        first = f" first {self.first:.3f} s" if self.first is not None else ""
        tokens = f" {self.tokens} tokens" if self.tokens is not None else ""
        seconds = f" {self.seconds:.3f} s" if self.seconds is not None else ""
        ending = f" {self.ending}" if self.ending else ""
        return f"{self.status} {self.what} {self.id}{way}{named}{target}{first}{tokens}{seconds}{ending}"


class Straight:
    """Lines to `stream`, each in one write, so that a process that is killed has lost none and several processes do not
    mix theirs. None: there is no such stream. `now` gives Unix seconds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.stream: TextIO | None = None
        self._now = now
        self._second = 0
        self._clock = ""

    def write(self, text: str, *, timed: bool) -> None:
        """`timed`: as `logging` would with "%(asctime)s" and "%X".

        What can't be written (on a full disk, to a pipe without a reader or a closed stream) is lost: the log must
        not hurt a request.
        """
        if self.stream is None:
            return
        if timed:
            second = int(self._now())
            if second != self._second:
                self._second, self._clock = second, time.strftime("%X", time.localtime(second))
            text = f"{self._clock} {text}"
        try:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        except (OSError, ValueError):
            return


straight = Straight()
"""That of this process: `to_stderr` gives it its stream."""


def write(line: Line, form: Literal["text", "json"]) -> None:
    text = line.json() if form == "json" else line.text()
    if straight.stream is None:
        access.info("%s", text)
    else:
        straight.write(text, timed=form == "text")


def of_outcome(outcome: Outcome, exchange: Exchange) -> Line:
    """The line of a request that began a run."""
    return Line(
        id=outcome.ask.id,
        status=exchange.status,
        what="stream" if outcome.ask.chat.request.stream else "whole",
        client_request_id=exchange.client_request_id,
        target=outcome.target,
        first=outcome.first_content,
        tokens=outcome.usage.completion_tokens if outcome.usage else None,
        seconds=outcome.seconds,
        ending="length" if outcome.limited else _ending(outcome.ending),
    )


def of_exchange(exchange: Exchange, failure: Failure | None) -> Line:
    """The line of a request that was answered without a run."""
    return Line(
        id=exchange.id,
        status=exchange.status,
        what=f"{exchange.method} {exchange.shown_path}",
        way=exchange.way,
        ending=failure.code or failure.cause.name.lower() if failure else None,
    )


class JsonLines(logging.Formatter):
    """Every line of the log that is not a request's as JSON, with `level` and `message`."""

    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode({"level": record.levelname.lower(), "message": super().format(record)}).decode()


def to_stderr(settings: LogConfig) -> None:
    """Requests and warnings on stderr; the engine's own lines only where they are wanted."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if settings.format == "json" else logging.Formatter("%(asctime)s %(message)s", "%X")
    )
    root = logging.getLogger("riverrun")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(logging.INFO)
    straight.stream = sys.stderr
    logging.getLogger("riverrun.engine").setLevel(logging.DEBUG if settings.verbose else logging.WARNING)


def _ending(ending: Ending) -> str:
    if type(ending) is Refused:
        return ending.failure.code or ending.failure.cause.name.lower()
    return "cancelled" if type(ending) is Cancelled else "finished"
