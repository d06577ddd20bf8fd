"""Plays the faults, shows what came of them, and writes docs/faults.md. `scripts/faults` runs it.

    python -m tests.faults.document [FAULT [N]] [--page PATH] [--without-engines]

FAULT is X5, say; without one all are played, for many minutes. With N so many tries of each row are played (fewer where
there are no more), and nothing is written. Exits with 1 where a row did not come to what it must: a false success, a
byte lost or doubled, somebody left without a word, a promise broken, or an answer lost that could have been whole.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import riverrun
from tests.faults.figures import COLUMNS, Figures, measured
from tests.faults.named import FAULTS
from tests.faults.page import PLAYED, Section, read, written
from tests.faults.rows import Row, every

PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
PARTS = ("uvloop", "httptools", "xllamacpp")


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where something is not as it should be."""
    given = _given(arguments)
    logging.disable(logging.ERROR)  # the faults are meant
    try:
        return _played(given)
    finally:
        logging.disable(logging.NOTSET)


def _played(given: argparse.Namespace) -> int:
    rows = list(every())
    chosen = [row for row in rows if given.fault in (None, row.fault) and not _left_out(row, given.without_engines)]
    if not chosen:
        print(f"{given.fault} has no rows that could be played here", file=sys.stderr)
        return 1
    print(f"{'':9} {', '.join(COLUMNS)}")
    passed = True
    for fault in dict.fromkeys(row.fault for row in chosen):
        played = {row: _shown(row, given.n) for row in chosen if row.fault == fault}
        passed = passed and all(figures.passes(row) for row, figures in played.items())
        if given.n is None:
            _write(given.page, fault, played, rows)
    return int(not passed)


def _given(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description="Plays the faults of docs/faults.md.")
    parser.add_argument("fault", nargs="?", choices=[*FAULTS], metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("n", nargs="?", type=int, metavar="N", help="tries of each row; nothing is written")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="PATH", help="the page to write (%(default)s)")
    parser.add_argument("--without-engines", action="store_true", help="leave the rows of real engines as they are")
    return parser.parse_args(arguments)


def _left_out(row: Row, without_engines: bool) -> bool:
    return without_engines and row.mark == "engine"


def _shown(row: Row, n: int | None) -> Figures:
    figures = measured(row, n)
    print(f"{row.fault:9} {figures.line}", flush=True)
    for broken in figures.broken[:10]:
        print(f"{'':9}   broken: {broken}")
    if not figures.passes(row):
        print(f"{'':9}   this is not what the row must come to: {FAULTS[row.fault].passes}", flush=True)
    return figures


def _write(page: Path, fault: str, played: dict[Row, Figures], rows: Sequence[Row]) -> None:
    """The page with this fault's section played anew; lines of rows that were left out stay as they are."""
    sections = read(page.read_text("utf-8")) if page.exists() else {}
    before = sections[fault].lines if fault in sections else {}
    fresh = {row.what: figures.line for row, figures in played.items()}
    sections[fault] = Section({**before, **fresh}, _stamp(fault))
    page.write_text(written(sections, rows), "utf-8")


def _stamp(fault: str) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in PARTS)
    return (
        f"{PLAYED}{today} by `scripts/faults {fault}`: riverrun {riverrun.__version__}, "
        f"Python {platform.python_version()}, {packages}, {platform.system()} {platform.machine()}."
    )


if __name__ == "__main__":
    sys.exit(main())
