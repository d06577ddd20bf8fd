"""What an answer's body holds, by its status and type: events, one JSON text, or an error. Pure readers with limits.

An upstream is hostile (SEC18): every body is bounded, redirects are not followed and nothing is decompressed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from riverrun.dialects.contract import Dialect, Framing, Reader
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.wire import aws_events, ndjson, sse
from riverrun.wire.sse import Event, EventTooLong

MAX_WHOLE = 32 * 1024 * 1024
"""Bytes of an answer that comes whole (SEC18)."""

MAX_ERROR = 1024 * 1024
"""Bytes that are read of an error's body; what follows cannot change what it means."""


class Framer(Protocol):
    """Cuts a stream's bytes into events, however they are split."""

    def feed(self, block: bytes) -> list[Event]:
        """The events that this block completes. Raises EventTooLong, or BrokenFrame."""

    @property
    def partial(self) -> bool:
        """Whether an event has begun and not ended."""


FRAMERS: dict[Framing, Callable[[], Framer]] = {
    "sse": sse.Decoder,
    "ndjson": ndjson.Decoder,
    "aws_events": aws_events.Decoder,
}
KINDS: dict[str, Framing] = {
    "text/event-stream": "sse",
    "application/x-ndjson": "ndjson",
    "application/vnd.amazon.eventstream": "aws_events",
}
"""What a body is, by its content type. A stream of another kind than the dialect's is not read."""


class Content(Protocol):
    """One answer's body."""

    done: bool
    """The answer is complete; what still comes is ignored."""

    def feed(self, block: bytes, deltas: list[Delta]) -> None:
        """Adds what this block says to `deltas`; raises Failure, after adding what came before the fault."""

    def finish(self, deltas: list[Delta]) -> None:
        """The message ended here. Raises Failure unless the answer is complete."""

    def cut(self, failure: Failure) -> Failure:
        """The message was cut: the failure that it means, which is `failure` unless more is known."""


class Streamed:
    """Events, in one of the framings."""

    __slots__ = ("_framer", "_reader", "_target", "done", "framing")

    def __init__(self, reader: Reader, framing: Framing, target: Target) -> None:
        self.done = False
        self.framing = framing
        self._reader = reader
        self._target = target
        self._framer: Framer = FRAMERS[framing]()

    def feed(self, block: bytes, deltas: list[Delta]) -> None:
        reader = self._reader
        try:
            events = self._framer.feed(block)
        except (EventTooLong, aws_events.BrokenFrame) as error:
            raise malformed(self._target, str(error)) from None
        for event in events:
            deltas += reader.read(event)
            if reader.done:
                self.done = True
                return

    def finish(self, deltas: list[Delta]) -> None:
        if self._framer.partial:
            raise interrupted(self._target, "the answer ended in the middle of an event")
        deltas += self._reader.finish()
        self.done = True

    def cut(self, failure: Failure) -> Failure:
        return failure


class Whole:
    """One JSON text, from an upstream that was asked to stream and did not."""

    def __init__(self, reader: Reader, target: Target) -> None:
        self.done = False
        self._reader = reader
        self._target = target
        self._body = bytearray()

    def feed(self, block: bytes, deltas: list[Delta]) -> None:
        self._body += block
        if len(self._body) > MAX_WHOLE:
            raise malformed(self._target, f"the answer is larger than {MAX_WHOLE} bytes")

    def finish(self, deltas: list[Delta]) -> None:
        deltas += self._reader.whole(bytes(self._body))
        if not self._reader.done:
            deltas += self._reader.finish()
        self.done = True

    def cut(self, failure: Failure) -> Failure:
        return failure


class Refusal:
    """The body of an HTTP error: the dialect knows what it means."""

    done = False

    def __init__(self, dialect: Dialect, status: int, headers: Mapping[str, str], ask: Ask, target: Target) -> None:
        self._dialect = dialect
        self._status = status
        self._headers = headers
        self._ask = ask
        self._target = target
        self._body = bytearray()

    def feed(self, block: bytes, deltas: list[Delta]) -> None:
        self._body += block
        if len(self._body) >= MAX_ERROR:
            raise self._failure()

    def finish(self, deltas: list[Delta]) -> None:
        raise self._failure()

    def cut(self, failure: Failure) -> Failure:
        return self._failure()  # the status came, and it says more than the cut

    def _failure(self) -> Failure:
        body = b"" if _encoded(self._headers) else bytes(self._body[:MAX_ERROR])
        return self._dialect.failure(self._status, self._headers, body, self._ask, self._target)


def content(
    dialect: Dialect, reader: Reader, status: int, headers: Mapping[str, str], ask: Ask, target: Target
) -> Content:
    """How to read the body behind this head. Raises Failure where it can't or must not be read."""
    if 300 <= status < 400:
        why = f"it answered {status}, a redirect, and none is followed; set base_url to the final address"
        raise Failure(Cause.UPSTREAM_ERROR, told(target, why))
    if status >= 400:
        return Refusal(dialect, status, headers, ask, target)
    if _encoded(headers):
        raise malformed(target, "the answer is compressed, though it was asked not to be")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    framing = KINDS.get(kind)
    if framing is not None and framing == dialect.framing:
        return Streamed(reader, framing, target)
    if kind == "application/json":
        return Whole(reader, target)
    raise malformed(target, f"it answered {status} with neither an event stream nor JSON; check base_url")


def malformed(target: Target, why: str) -> Failure:
    return Failure(Cause.UPSTREAM_MALFORMED, told(target, why))


def interrupted(target: Target, why: str) -> Failure:
    return Failure(Cause.UPSTREAM_INTERRUPTED, told(target, why))


def told(target: Target, why: str) -> str:
    """A message for the client: the model's public name and the reason, and nothing of the upstream's address."""
    return f"The upstream of model '{target.name}' failed: {why}."


def _encoded(headers: Mapping[str, str]) -> bool:
    return headers.get("content-encoding", "identity").lower() != "identity"
