"""How an answer ended: in an upstream's own word, or because nobody could read on."""

from __future__ import annotations

from typing import NoReturn

from riverrun.dialects.blame import malformed
from riverrun.dialects.rows import Row
from riverrun.failures import Cause, Failure
from riverrun.routing.target import Target
from riverrun.stream.deltas import FinishReason


def reason_of(word: str, row: Row, target: Target) -> FinishReason:
    """The API's reason, by the row's table. Raises Failure where the word means one, or is not in the table."""
    reason = row.finish_reasons.get(word)
    if reason == "error":
        raise Failure(Cause.UPSTREAM_ERROR, f"The upstream of '{target.name}' failed while it answered.")
    if reason is None:
        malformed(f"its reason to stop, {word[:40]!r}, is not one of the API's")
    return reason


def unreadable(error: Exception) -> NoReturn:
    """Raises the Failure of an event that is not of its form. (msgspec's and Unicode's errors are ValueErrors.)"""
    if isinstance(error, RecursionError):
        malformed("an event is nested too deep")
    malformed(f"an event is not of its form ({error})")
