"""How many instructions a burst chunk, a paced chunk and a JSON request take: the figure for noisy machines.

The server runs under callgrind, slowly, and counts in user space only. Each load is put on it with two sizes, and the
difference is divided by what there was more of: what a connection or a start costs falls out.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import riverrun_setting
from benchmarks.asking import Load, asking, upstream
from benchmarks.bounds import OURS
from benchmarks.machine import facts, prepared
from benchmarks.plots import number_text
from benchmarks.processes import Tree, free_port, running
from benchmarks.programs import installed, said
from benchmarks.run import rewrite_page
from benchmarks.samples import Results, Sample, keep

TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)
CALM = 2.0


@dataclass(frozen=True)
class Sizes:
    """Two loads of the same kind, and by how many units the second is larger."""

    name: str
    small: Load
    large: Load
    more: int


SIZES = (
    Sizes(
        "burst chunk",
        Load("play-burst-200", "-c 1 -n 5 -e 200"),
        Load("play-burst-1200", "-c 1 -n 5 -e 1200"),
        5 * 1000,
    ),
    Sizes(
        "paced chunk",
        Load("play-paced-20-50000", "-c 4 -n 4 -e 20"),
        Load("play-paced-120-50000", "-c 4 -n 4 -e 120"),
        4 * 100,
    ),
    Sizes(
        "JSON request",
        Load("play-burst-1", "-c 1 -n 10", stream=False),
        Load("play-burst-1", "-c 1 -n 60", stream=False),
        50,
    ),
)


class Counted:
    """A server under callgrind, whose counter can be set to zero and read."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        self._tree = tree
        self._out = folder / "counted"
        self._dumps = 0

    def during(self, load: Load) -> int:
        """Instructions from the start of a load to some calm after it."""
        said("callgrind_control", "--zero", str(self._tree.pid))
        with asking(load, self._tree.port) as asked:
            asked.seen()
        time.sleep(CALM)
        self._dumps += 1
        said("callgrind_control", "--dump", str(self._tree.pid))
        found = TOTALS.search(self._out.with_name(f"{self._out.name}.{self._dumps}").read_text())
        return int(found[1]) if found else 0


def main() -> int:
    options = _options()
    prepared()
    known = facts("benchmarks/instructions")
    program = installed("valgrind")
    with tempfile.TemporaryDirectory(prefix="riverrun-instructions-") as name, upstream() as behind:
        folder, port = Path(name), free_port()
        command, environ = riverrun_setting.start(folder, port, behind.port)
        tool = [program, "--tool=callgrind", f"--callgrind-out-file={folder / 'counted'}", "--trace-children=no"]
        with running([*tool, *command], port, folder / "log", environ=environ) as tree:
            counted = Counted(tree, folder)
            for sizes in SIZES:
                counted.during(sizes.large)  # what is made once is made now
            samples = [_sample(counted, sizes, turn) for turn in range(options.repeat) for sizes in SIZES]
            if options.keep:
                subprocess.run(["sh", "-c", f"cp {folder}/counted* {options.keep}"], check=True)
    results = Results({**known, "valgrind": said(program, "--version")}, samples)
    for sizes in SIZES:
        found = results.spread(sizes.name, OURS, "instructions")
        assert found is not None
        print(f"{sizes.name}: {number_text(found.median)} instructions ({found.low:,.0f} to {found.high:,.0f})")
    if not options.dry:
        keep("instructions", results)
        rewrite_page()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/instructions", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=3, help="(default: 3)")
    parser.add_argument("--dry", action="store_true", help="print only")
    parser.add_argument("--keep", metavar="FOLDER", help="copy callgrind's files there, for callgrind_annotate")
    return parser.parse_args()


def _sample(counted: Counted, sizes: Sizes, turn: int) -> Sample:
    extra = counted.during(sizes.large) - counted.during(sizes.small)
    return Sample(sizes.name, OURS, turn, {"instructions": extra / sizes.more})


if __name__ == "__main__":
    sys.exit(main())
