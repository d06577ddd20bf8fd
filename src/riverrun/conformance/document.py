"""Writes docs/conformance.md from the table of rules: `python -m riverrun.conformance.document [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path

from riverrun.conformance.cases import RULES
from riverrun.conformance.exchanges import EXCHANGES, Exchange
from riverrun.conformance.report import FAMILIES
from riverrun.conformance.rules import Rule

INTRODUCTION = """\
# Conformance: is this stream what it says it is?

<!-- Written by `python -m riverrun.conformance.document docs/conformance.md`; change the rules, not this file. -->

`riverrun check` sends real requests to any Chat Completions endpoint, keeps the raw bytes with their timing, and
judges them by the rules below. Each rule passes, fails with the bytes that show it, or is not exercised, with the
reason.

```
riverrun check http://127.0.0.1:8000/v1 --model NAME              # everything, as a table
riverrun check URL --model NAME --only O,T2 --report junit        # two families, for a CI
riverrun check URL --model NAME --save captures                   # keep what came
riverrun check --file captures                                    # judge it again
riverrun check --file stream.txt                                  # judge a bare stream
```

The exit code is 1 when a must fails, and 2 when nothing could be judged. As a library:

```python
from riverrun.conformance import Capture, failures, judge

findings = judge(Capture(request=body, blocks=((0.0, received),), ended="complete"))
assert not failures(findings, "must")
```

As a pytest plugin, `conforms(url, model=…, only=[…])` is a fixture.

What a person should know of the verdicts: `must` is what makes clients fail, lose text or report a wrong success;
`should` is good practice. "Entails" names rules that a violation breaks too. C1 is judged from outside, by the time
that an answer takes after streams were abandoned, so an endpoint with places to spare passes it unseen. Q1 compares
only answers that a model gives twice.
"""


def document() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for letter, name in FAMILIES.items():
        parts += [f"## {letter}: {name}\n", *table([one for one in RULES if one.id[0] == letter]), ""]
    parts += ["## What is sent\n", "| exchange | exercises | request |", "|---|---|---|"]
    parts += [sent(exchange) for exchange in EXCHANGES]
    return "\n".join(parts) + "\n"


def table(rules: list[Rule]) -> list[str]:
    """The rules of one family."""
    lines = ["| rule | | what holds | source | breaks when violated | entails |", "|---|---|---|---|---|---|"]
    for one in rules:
        cells = (one.id, one.severity, one.sentence, one.source, one.breaks, " ".join(one.entails))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return lines


def sent(exchange: Exchange) -> str:
    """One request in a line."""
    if isinstance(exchange.body, bytes):
        what = f"`{exchange.body.decode()}`"
    else:
        what = ", ".join(f"`{name}`" for name in exchange.body if name != "messages") or "nothing but messages"
    notes = " (left after the first content)" if exchange.leave else ""
    notes += " (on the connection of the row above)" if exchange.same_connection else ""
    return f"| {exchange.name} | {exchange.rules.replace(',', ' ')} | {what}{notes} |"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/conformance.md").write_text(document(), "utf-8")
