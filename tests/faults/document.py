"""Writes docs/faults.md: plays every row, kills real engines, and counts. `scripts/faults` runs it.

    python -m tests.faults.document [PAGE] [--without-engines]

Exits with 1 where a row is not honest: a false success, a byte lost or doubled, somebody left without a word.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import platform
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import riverrun
from riverrun.engine.fetch import pull
from riverrun.engine.folder import default_folder
from tests.faults import engines
from tests.faults.figures import HEAD, RULE, Figures, measured, summed
from tests.faults.recipes import RECIPES
from tests.faults.rows import rows
from tests.faults.scene import Seen
from tests.faults.tries import tried

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
SCALE = 0.02
KILLS = 50
KILLS_OF_ANOTHER = 10

INTRODUCTION = """\
# Faults survived

<!-- Written by `scripts/faults`; run it again instead of changing this file. -->

`scripts/faults` plays every fault below against the real server (its HTTP host, its router, its `openai` dialect) and
counts what the client got. The upstreams are scripted and speak bytes; the recipes are data, in
`tests/faults/recipes.py` and `tests/faults/rows.py`.

- **tried** answers; **whole**: complete, equal to the answer of an upstream that is well, properly ended.
- **told an error**: an error status, or the error frame and a cut connection; the client knows. An answer is lost only
  where the row says that nobody can go on, or that everybody dies.
- **lost without a word**: neither; **false successes**: looked finished and were not whole. Both must be 0.
- **bytes lost or doubled**: inside what a client got (the rest of an answer that it was told is lost is not counted).
- **gap**: of whole answers, the longest time without a new word. Where the clock is virtual it is what riverrun's
  deadlines, pauses and Retry-After cost, without the network's time.
- An answer that went on at another real engine has no true one to be compared with: there the bytes are those of its
  start that did not come exactly once. After a kill of the embedded engine all of it is compared.

An answer goes on in one of two ways: its target *says it again*, and what was already sent is taken off (for targets
that say the same with the same seed), or a target *takes a prefill* and goes on with the words so far. Inside a tool
call only the first way is open. A fault before the first word is retried or goes to the next target, so most rows hold
some of both. One that the client alone can mend (a prompt too long, a refused one) goes to nobody else.
"""


def over_tcp() -> Figures:
    """Every recipe once over real sockets, its deadlines scaled down, with a fallback that is well."""

    async def main() -> list[Seen]:
        return [seen for one in RECIPES for seen in await tried(one, "healthy", scale=SCALE)]

    return summed(
        "all", f"every recipe over TCP, all times multiplied by {SCALE:g}; a fallback that is well", asyncio.run(main())
    )


def scripted() -> Iterator[Figures]:
    for row in rows():
        yield measured(row)
    yield over_tcp()


def killed() -> Iterator[Figures]:
    path = pull("smollm2-135m", default_folder(), lambda done, total: None).path
    yield engines.seconds_killed(path, KILLS_OF_ANOTHER)
    yield engines.own_killed(KILLS)


def table(title: str, lines: list[Figures]) -> str:
    return "\n".join([f"## {title}\n", HEAD, RULE, *(each.line for each in lines), ""])


def shown(figures: Iterator[Figures]) -> list[Figures]:
    """All of them, each said as it comes."""
    out = []
    for each in figures:
        out.append(each)
        print(each.line, file=sys.stderr, flush=True)
    return out


def versions(seconds: float) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("uvicorn", "httptools", "xllamacpp"))
    return (
        f"Written on {today} in {seconds / 60:.0f} minutes by `scripts/faults`: riverrun {riverrun.__version__}, "
        f"Python {platform.python_version()}, {packages}, {platform.system()} {platform.machine()}.\n"
    )


def main() -> int:
    """Writes the page; 1 where something on it should not be."""
    logging.disable(logging.ERROR)  # the faults are meant
    given = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    began = time.monotonic()
    parts = {"Scripted upstreams, on the virtual clock": shown(scripted())}
    if "--without-engines" not in sys.argv:
        parts["Real engines, killed with SIGKILL in mid-answer"] = shown(killed())
    recipes = "## The recipes\n\n" + "".join(f"- {one.name}\n" for one in RECIPES)
    head = [INTRODUCTION, versions(time.monotonic() - began)]
    page = "\n".join([*head, *(table(*part) for part in parts.items()), recipes])
    (Path(given[0]) if given else PAGE).write_text(page, "utf-8")
    return int(not all(each.honest for part in parts.values() for each in part))


if __name__ == "__main__":
    sys.exit(main())
