"""One line per request, as text or as JSON. Never a prompt, an answer or a key (SEC7)."""

from __future__ import annotations

import logging
from typing import Literal

import msgspec

from riverrun.config import LogConfig
from riverrun.failures import Failure
from riverrun.runs.run import Outcome
from riverrun.server.exchange import Exchange
from riverrun.stream.flow import Cancelled, Ending, Refused

access = logging.getLogger("riverrun.access")


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
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

    def text(self) -> str:
        words = [str(self.status), self.what, self.id]
        words += [self.way] if self.way else []
        words += [f"({self.client_request_id})"] if self.client_request_id else []
        words += [self.target] if self.target else []
        words += [f"first {self.first:.3f} s"] if self.first is not None else []
        words += [f"{self.tokens} tokens"] if self.tokens is not None else []
        words += [f"{self.seconds:.3f} s"] if self.seconds is not None else []
        return " ".join([*words, self.ending or ""]).rstrip()


def write(line: Line, form: Literal["text", "json"]) -> None:
    access.info("%s", msgspec.json.encode(line).decode() if form == "json" else line.text())


def of_outcome(outcome: Outcome, exchange: Exchange, client_request_id: str | None) -> Line:
    """The line of a request that began a run."""
    return Line(
        id=outcome.ask.id,
        status=exchange.status,
        what="stream" if outcome.ask.chat.stream else "whole",
        client_request_id=client_request_id,
        target=outcome.target,
        first=None if outcome.first_content is None else round(outcome.first_content, 4),
        tokens=outcome.usage.completion_tokens if outcome.usage else None,
        seconds=round(outcome.seconds, 4),
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
    """Every line of the log as JSON: those of requests are already, the rest becomes `level` and `message`."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == access.name:
            return record.getMessage()
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
    logging.getLogger("riverrun.engine").setLevel(logging.DEBUG if settings.verbose else logging.WARNING)


def _ending(ending: Ending) -> str:
    if isinstance(ending, Refused):
        return ending.failure.code or ending.failure.cause.name.lower()
    return "cancelled" if isinstance(ending, Cancelled) else "finished"
