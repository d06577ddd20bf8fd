"""The page docs/faults.md as sections, a fault each: read back, and written from the lines of their tables. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.faults.figures import HEAD, RULE
from tests.faults.named import FAULTS
from tests.faults.recipes import RECIPES
from tests.faults.rows import Row

INTRODUCTION = """\
# Faults survived

<!-- Written by `scripts/faults`; run it again instead of changing this file. -->

What goes wrong between a client, riverrun and the models behind it, and what came of it: how often each fault was
tried, and how many answers were lost. `scripts/faults` plays all of them against the real server (its HTTP host, its
router, its dialects) and writes this page; `scripts/faults X7` plays one fault and writes its section, and
`scripts/faults X7 100` plays 100 tries of each of its rows and only shows what came of them. Upstreams are scripted,
unless a row says otherwise: they speak real bytes, and break where they are told to.

- **tried**: answers that were asked for. **whole**: complete, equal to the answer without the fault, properly ended.
- **told an error**: an error status, or an error frame and a cut connection; the client knows. A row in which nobody
  can go on, or everybody dies, may lose answers in this way, and no other row may.
- **lost without a word**: neither. **false successes**: looked finished and were not whole.
- **bytes lost or doubled**: inside what a client got (the rest of an answer that it was told is lost is not counted).
- **other promises broken**: tries after which something else was not as "passes when" says.
- **gap**: of whole answers, the longest time without a new word; half of them had a shorter one (p50), and 99 of 100
  (p99). Where the clock is virtual it is what riverrun's deadlines, pauses and Retry-After cost, without the network.

The four counts of what must not be (lost without a word, bytes lost or doubled, false successes, other promises broken)
are 0 everywhere, or `scripts/faults` fails.

An answer goes on in one of two ways: its target *says it again*, and what was already sent is taken off (for targets
that say the same with the same seed), or a target *takes a prefill* and goes on with the words so far. A fault before
the first word is retried or goes to the next target, so most rows hold some of both. One that only the client can mend
(a prompt too long, a refused one) goes to nobody else.
"""

AFTER = {
    "recipes": "The recipes:\n\n" + "".join(f"- {one.name}\n" for one in RECIPES),
    "X7": "An answer that went on at another real engine has no true one to be compared with: there the bytes are those"
    " of its\nstart that did not come exactly once. After a kill of the embedded engine all of it is compared.\n",
}
"""What stands below a fault's table."""

PLAYED = "Played on "


class Section(NamedTuple):
    """`lines` of the table by what is done; `played`: when and with what, one line that begins with PLAYED."""

    lines: Mapping[str, str]
    played: str


def read(page: str) -> dict[str, Section]:
    """The sections of a written page, by fault."""
    sections = {}
    for text in page.split("\n## ")[1:]:
        lines = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line[:2] == "| "}
        lines.pop(HEAD.split(" | ")[0].removeprefix("| "), None)
        played = next((line for line in text.splitlines() if line.startswith(PLAYED)), "")
        sections[text.partition(": ")[0]] = Section(lines, played)
    return sections


def written(sections: Mapping[str, Section], rows: Iterable[Row]) -> str:
    """The whole page: the faults that have a section, the rows that there are and that have a line in it."""
    every = list(rows)
    parts = [INTRODUCTION]
    for fault in (name for name in FAULTS if name in sections):
        known = sections[fault].lines
        lines = [known[row.what] for row in every if row.fault == fault and row.what in known]
        parts.append(_section(fault, lines, sections[fault].played))
    return "\n".join(parts)


def _section(fault: str, lines: list[str], played: str) -> str:
    about = FAULTS[fault]
    told = textwrap.fill(f"{about.done} Passes when {about.passes}.", 120)
    head = f"## {fault}: {about.name}\n\n{told}\n"
    return "\n".join([head, HEAD, RULE, *lines, "", f"{played}\n", *([AFTER[fault]] if fault in AFTER else [])])
