"""What says that a client may come again: Idempotency-Key, x-riverrun-on-disconnect, Last-Event-ID."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from urllib.parse import parse_qs

from riverrun.failures import bad_request
from riverrun.runs.intent import Intent
from riverrun.tapes.contract import Policy
from riverrun.wire.digest import check_key

POLICIES = ("cancel", "grace", "finish")
MOST_DIGITS = 18


def intent(headers: Mapping[str, str]) -> Intent:
    """What the headers of a POST say. Raises Failure for values that mean nothing."""
    key = headers.get("idempotency-key")
    if key is not None:
        check_key(key)
    policy = headers.get("x-riverrun-on-disconnect")
    if policy is not None and policy not in POLICIES:
        raise bad_request(
            "Invalid x-riverrun-on-disconnect header: it is none of cancel, grace and finish.",
            "x-riverrun-on-disconnect",
            "invalid_value",
        )
    retries = headers.get("x-stainless-retry-count")
    count = int(retries) if retries and _is_number(retries) else 0
    return Intent(key, cast("Policy | None", policy), count)


def cursor(headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> int | None:
    """After which event the client wants to read on: Last-Event-ID, or `starting_after`. None: it does not say.

    Raises Failure where it is no number, or where the two differ.
    """
    after = _number("Last-Event-ID", headers.get("last-event-id"))
    if not query:
        return after
    starting = _number("starting_after", query.get("starting_after"))
    if None not in (after, starting) and after != starting:
        raise bad_request(
            "Last-Event-ID and starting_after name different events. Send one of them.", "starting_after", "conflict"
        )
    return starting if after is None else after


def query(text: bytes) -> dict[str, str]:
    """The parameters of a query string, each one's last value."""
    return {name: values[-1] for name, values in parse_qs(text.decode("latin-1"), keep_blank_values=True).items()}


def _number(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not _is_number(text):
        raise bad_request(f"Invalid {name}: expected the number of an event, as its id: line has it.", name)
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < MOST_DIGITS
