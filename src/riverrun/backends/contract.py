"""What a backend is: something that starts a call and pushes what it hears."""

from __future__ import annotations

from typing import Protocol

from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.flow import Call, Sink


class Started(Protocol):
    """Told once, as soon as it is known: the target as it turned out to be, and the hints that were left out."""

    def __call__(self, target: Target, dropped: tuple[str, ...]) -> None: ...


class Backend(Protocol):
    def start(self, ask: Ask, target: Target, sink: Sink, started: Started) -> Call:
        """Begin one call. Returns at once; all that follows, failures too, arrives at the sink.

        `started` is called once, when the call is on its way to the target (a local one has a free slot by then,
        and `target` says what its model can do): first-token deadlines run from there. It is never called if the
        call fails before.
        """
