"""C: what happens to the server when a client leaves, and to the connection when it stays."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.conformance import needs
from riverrun.conformance.reading import Reading
from riverrun.conformance.rules import Fault, rule

PATIENCE = 3  # times as slow as before is still the noise of a busy machine
GRACE = 1.0  # seconds


def before(reading: Reading) -> str:
    """The same request was timed before the streams were abandoned."""
    timed = any(capture.exchange == "before-cancel" and capture.status == 200 for capture in reading.beside)
    return "" if timed else "the request was not timed before the streams were abandoned"


def first_byte(times: tuple[tuple[float, bytes], ...], never: float) -> float:
    """When the body began, in seconds."""
    return times[0][0] if times else never


@rule(
    "C1", "must", "When a client leaves, generating stops and its place is free.", needs.exchange("after-cancel"),
    before,
    source="OpenAPI note, practice", breaks="everyone who waits behind answers that nobody reads",
)  # fmt: skip
def place_is_freed(reading: Reading) -> Iterator[Fault]:
    earlier = next(capture for capture in reading.beside if capture.exchange == "before-cancel")
    usual = first_byte(earlier.blocks, 0.0)
    now = first_byte(reading.capture.blocks, float("inf"))
    if now > usual * PATIENCE + GRACE:
        took = "never came" if now == float("inf") else f"took {now:.1f} s"
        yield Fault(f"after streams were abandoned, the first byte of an answer {took}; before, {usual:.1f} s")


@rule(
    "C4", "should", "A keep-alive connection serves a second request after a complete stream.", needs.exchange("reuse"),
    source="SDK sources", breaks="openai-python reads to the end for this",
)  # fmt: skip
def connection_reused(reading: Reading) -> Iterator[Fault]:
    if reading.capture.status == 0:
        yield Fault(f"the connection did not serve a second request ({reading.capture.ended})")


RULES = (place_is_freed, connection_reused)
