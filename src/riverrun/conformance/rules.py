"""What a rule is, what it can find, and how a capture is judged by all of them.

A rule is one pure function over a reading. It yields a Fault for each violation it sees; `needs` says why it
cannot be judged on this capture, or nothing when it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from riverrun.conformance.lines import Frame
from riverrun.conformance.reading import Reading

Severity = Literal["must", "should"]
Outcome = Literal["pass", "fail", "not exercised"]
Needs = Callable[[Reading], str]


class Fault(msgspec.Struct, frozen=True):
    """One violation: what was seen, and the bytes that show it."""

    seen: str
    shows: bytes = b""
    at: int = 0


class Rule(msgspec.Struct, frozen=True):
    """A row of the table. `breaks`: the clients that break on a violation; `entails`: the rules that fall with it."""

    id: str
    severity: Severity
    sentence: str
    source: str
    breaks: str
    entails: tuple[str, ...]
    needs: tuple[Needs, ...]
    find: Callable[[Reading], Iterator[Fault]]


class Finding(msgspec.Struct, frozen=True):
    """What one rule says of one capture. `note` is the violation, or the reason why it was not exercised."""

    rule: Rule
    outcome: Outcome
    note: str = ""
    shows: bytes = b""
    at: int = 0
    times: int = 0
    exchange: str = ""


def rule(
    id: str, severity: Severity, sentence: str, *needs: Needs, source: str, breaks: str = "", entails: str = ""
) -> Callable[[Callable[[Reading], Iterator[Fault]]], Rule]:
    """Make a rule of the function below: it yields the faults of a reading. `entails` is a list in one string."""

    def made(find: Callable[[Reading], Iterator[Fault]]) -> Rule:
        return Rule(id, severity, sentence, source, breaks, tuple(entails.split()), needs, find)

    return made


def at(frame: Frame, seen: str) -> Fault:
    """A fault that a frame shows."""
    return Fault(seen, frame.raw, frame.start)


def apply(rule: Rule, reading: Reading) -> Finding:
    """One rule on one reading."""
    exchange = reading.capture.exchange
    for need in rule.needs:
        if reason := need(reading):
            return Finding(rule, "not exercised", reason, exchange=exchange)
    faults = list(rule.find(reading))
    if not faults:
        return Finding(rule, "pass", exchange=exchange)
    first = faults[0]
    seen = first.seen.encode("utf-8", "backslashreplace").decode()  # what was judged may hold half characters
    return Finding(rule, "fail", seen, first.shows, first.at, len(faults), exchange)
