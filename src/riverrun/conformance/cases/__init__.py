"""The table of all rules, in the order of the wire format's families."""

from __future__ import annotations

from riverrun.conformance.cases import (
    calls,
    cancelling,
    choices,
    deltas,
    equality,
    errors,
    framing,
    identity,
    requests,
    usage,
)
from riverrun.conformance.rules import Rule

RULES: tuple[Rule, ...] = (
    *framing.RULES,
    *identity.RULES,
    *deltas.RULES,
    *calls.RULES,
    *usage.RULES,
    *choices.RULES,
    *equality.RULES,
    *errors.RULES,
    *requests.RULES,
    *cancelling.RULES,
)
