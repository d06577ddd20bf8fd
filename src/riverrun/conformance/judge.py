"""The verdict: a capture in, one finding for each rule out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from riverrun.conformance.capture import Capture
from riverrun.conformance.cases import RULES
from riverrun.conformance.reading import Reading
from riverrun.conformance.rules import Finding, Rule, apply


def judge(capture: Capture, beside: Sequence[Capture] = (), only: Iterable[str] = ()) -> list[Finding]:
    """One finding for each rule, in the table's order.

    `beside` are the other exchanges of the session, for the rules that compare two answers. `only` names rules or
    families ("O", "T2"); empty means all.
    """
    reading = Reading(capture, beside)
    return [apply(rule, reading) for rule in chosen(only)]


def failures(findings: Iterable[Finding], severity: str = "") -> list[Finding]:
    """The failed ones, of one severity or of both."""
    return [one for one in findings if one.outcome == "fail" and severity in ("", one.rule.severity)]


def chosen(only: Iterable[str]) -> list[Rule]:
    """The rules that these names and families select. Raises ValueError for a name that selects none."""
    names = [name.strip() for name in only if name.strip()]
    for name in names:
        if not any(selects(name, rule) for rule in RULES):
            raise ValueError(f"no rule is called {name!r}; give ids or families such as O,T2 (see docs/conformance.md)")
    return [rule for rule in RULES if not names or any(selects(name, rule) for name in names)]


def selects(name: str, rule: Rule) -> bool:
    """Whether a name is this rule's id or its family."""
    return name.upper() in (rule.id, rule.id[0])


def judge_all(captures: Sequence[Capture], only: Iterable[str] = ()) -> list[Finding]:
    """One finding a rule over a whole session, each capture judged beside the others."""
    names = list(only)
    return summed(one for capture in captures for one in judge(capture, captures, names))


def summed(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a rule over many captures: a failure beats a pass, and a pass beats not exercised."""
    rank = {"fail": 0, "pass": 1, "not exercised": 2}
    best: dict[str, Finding] = {}
    for one in findings:
        held = best.get(one.rule.id)
        if held is None or rank[one.outcome] < rank[held.outcome]:
            best[one.rule.id] = one
    return list(best.values())
