"""Findings as people and machines read them: a table for ten seconds, JSON, JUnit and Markdown."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from riverrun.conformance.judge import failures
from riverrun.conformance.rules import Finding
from riverrun.wire.jsonvalue import JsonValue

FAMILIES = {
    "F": "framing",
    "I": "identity",
    "O": "order of deltas",
    "T": "tool calls",
    "U": "usage",
    "L": "logprobs",
    "N": "several choices",
    "Q": "stream equals whole",
    "E": "errors",
    "B": "bad and special requests",
    "C": "cancelling",
}
MARKS = {"pass": "[green]pass[/]", "fail": "[red]FAIL[/]", "not exercised": "[dim]-[/]"}
SHOWN = 240  # bytes of evidence in a table


def score(findings: Sequence[Finding]) -> Counter[str]:
    """How many rules ended how: passed, must, should (failed), silent."""
    names = {"pass": "passed", "not exercised": "silent"}
    return Counter(names.get(one.outcome, one.rule.severity) for one in findings)


def verdict(findings: Sequence[Finding]) -> str:
    """The whole in one line."""
    count = score(findings)
    word = "FAIL" if count["must"] else "PASS"
    return (
        f"{word}: {count['passed']} rules pass, {count['must']} musts and {count['should']} shoulds fail, "
        f"{count['silent']} not exercised"
    )


def evidence(finding: Finding) -> str:
    """The bytes that show a failure, printable and short."""
    written = repr(finding.shows)[2:-1]
    return written if len(written) <= SHOWN else written[:SHOWN] + "…"


def as_text(findings: Sequence[Finding], details: bool = False, width: int | None = None, colour: bool = False) -> str:
    """A table of the families, then what failed; with `details` every rule, its bytes or its reason."""
    out = io.StringIO()
    console = Console(file=out, width=width or 110, force_terminal=colour, highlight=False)
    console.print(families(findings))
    for one in failures(findings):
        console.print(f"[red]{one.rule.id}[/] [bold]{one.rule.severity}[/] {escape(one.rule.sentence)}")
        where = f" in [bold]{one.exchange}[/]" if one.exchange else ""
        console.print(f"   seen{where}: {escape(one.note)}", soft_wrap=True)
        if one.rule.breaks:
            console.print(f"   breaks: {escape(one.rule.breaks)}", soft_wrap=True)
        if details and one.shows:
            console.print(f"   byte {one.at}: {escape(evidence(one))}", soft_wrap=True)
    if details:
        console.print(every_rule(findings))
    console.print(f"[bold]{verdict(findings)}[/]")
    return out.getvalue()


def families(findings: Sequence[Finding]) -> Table:
    """One row a family."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "rules", "pass", "fail", "not exercised", "failed"):
        table.add_column(name, justify="right" if name in ("pass", "fail", "not exercised") else "left")
    for letter, name in FAMILIES.items():
        own = [one for one in findings if one.rule.id[0] == letter]
        if own:
            count = Counter(one.outcome for one in own)
            failed = " ".join(one.rule.id for one in failures(own))
            mark = "[red]✗[/]" if failures(own, "must") else "[yellow]![/]" if failed else "[green]✓[/]"
            silent = str(count["not exercised"])
            table.add_row(mark, f"{letter} {name}", str(count["pass"]), str(count["fail"]), silent, failed)
    return table


def every_rule(findings: Sequence[Finding]) -> Table:
    """One row a rule, with what was seen or why nothing could be."""
    table = Table(box=None, pad_edge=False)
    for name in ("rule", "", "", "note"):
        table.add_column(name)
    for one in findings:
        table.add_row(one.rule.id, one.rule.severity, MARKS[one.outcome], escape(one.note or one.rule.sentence))
    return table


def row(finding: Finding) -> dict[str, JsonValue]:
    """A finding as JSON."""
    return {
        "rule": finding.rule.id,
        "severity": finding.rule.severity,
        "sentence": finding.rule.sentence,
        "outcome": finding.outcome,
        "note": finding.note,
        "exchange": finding.exchange,
        "offset": finding.at,
        "bytes": finding.shows.decode("utf-8", "backslashreplace"),
        "times": finding.times,
        "breaks": finding.rule.breaks,
    }


def as_json(findings: Sequence[Finding], details: bool = False) -> str:
    """An object with the score and one row a rule. It is whole with and without `details`."""
    count = score(findings)
    told = {
        "verdict": "fail" if count["must"] else "pass",
        **{name: count[name] for name in ("passed", "must", "should", "silent")},
    }
    return (
        msgspec.json.format(msgspec.json.encode({**told, "findings": [row(one) for one in findings]})).decode() + "\n"
    )


def printable(text: str) -> str:
    """What XML can hold: control characters are written out."""
    return "".join(letter if letter >= " " or letter in "\t\n" else repr(letter)[1:-1] for letter in text)


def as_junit(findings: Sequence[Finding], details: bool = False) -> str:
    """JUnit XML: a failed must is a failure; a failed should is one only in its text; not exercised is skipped."""
    count = score(findings)
    suite = ElementTree.Element(
        "testsuite",
        name="riverrun check",
        tests=str(len(findings)),
        failures=str(count["must"]),
        skipped=str(count["silent"]),
    )
    for one in findings:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"conformance.{one.rule.id[0]}", name=f"{one.rule.id} {one.rule.sentence}"
        )
        told = printable(f"{one.note}\n{evidence(one)}\nbreaks: {one.rule.breaks}")
        if one.outcome == "not exercised":
            ElementTree.SubElement(case, "skipped", message=printable(one.note))
        elif one.outcome == "fail" and one.rule.severity == "must":
            ElementTree.SubElement(case, "failure", message=printable(one.note)).text = told
        elif one.outcome == "fail":
            ElementTree.SubElement(case, "system-out").text = f"should: {told}"
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def as_markdown(findings: Sequence[Finding], details: bool = False) -> str:
    """A table of what failed, and with `details` of all."""
    lines = [f"**{verdict(findings)}**", "", "| rule | severity | outcome | seen | exchange |", "|---|---|---|---|---|"]
    for one in findings if details else failures(findings):
        note = (one.note or one.rule.sentence).replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {one.rule.id} | {one.rule.severity} | {one.outcome} | {note} | {one.exchange} |")
    return "\n".join(lines) + "\n"


REPORTS: dict[str, Callable[[Sequence[Finding], bool], str]] = {
    "text": as_text,
    "json": as_json,
    "junit": as_junit,
    "markdown": as_markdown,
}
