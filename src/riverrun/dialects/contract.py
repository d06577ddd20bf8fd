"""What a dialect is: a pure reader and writer of one upstream language. It opens no socket and reads no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.wire.sse import Event


class Outgoing(msgspec.Struct, frozen=True):
    """A request ready for the upstream client, unsigned. `dropped` names the hints that were left out."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()


Framing = Literal["sse", "ndjson", "aws_events"]


class Reader(Protocol):
    """Turns one answer's events into deltas. One per upstream call."""

    done: bool
    """The upstream's own ending was seen: every choice has its finish_reason and the terminator came."""

    def read(self, event: Event) -> list[Delta]:
        """The deltas of one event; raises Failure for an error inside the stream or a malformed event."""

    def whole(self, body: bytes) -> list[Delta]:
        """The deltas of an upstream that answered whole, as JSON, though asked to stream."""

    def finish(self) -> list[Delta]:
        """At the end of the body: what was still held back. Raises Failure where the answer was cut short."""


class Dialect(Protocol):
    framing: Framing
    """How the upstream's stream is cut into events."""

    def encode(self, ask: Ask, target: Target) -> Outgoing:
        """The upstream's request. Raises Failure (400, with `param`) for what changes the meaning and can't be said."""

    def reader(self, ask: Ask, target: Target) -> Reader: ...

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, ask: Ask, target: Target) -> Failure:
        """What an HTTP error of this upstream means. `headers` has lower-case names."""
