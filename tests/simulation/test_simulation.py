"""X27: a thousand worlds, in each of which the invariants V1 to V9 hold. `scripts/simulate SEED` tells one of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.__main__ import report, tried
from tests.simulation.plan import drawn
from tests.simulation.world import played

SEEDS, AT_ONCE = 1000, 50
ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_the_invariants_hold(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        told = tried(seed)
        assert told is None, f"scripts/simulate {seed}\n{told}"


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_a_seed_is_the_same_world_every_time(first: int) -> None:
    for seed in range(first, first + 20):
        assert report(played(drawn(seed))) == report(played(drawn(seed)))


def test_a_seed_is_the_same_world_in_every_process() -> None:
    """Nothing of it hangs on how a process hashes, or on where it puts things in memory."""
    seeds = range(5, 15)
    told = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *map(str, seeds)],
            env={**os.environ, "PYTHONHASHSEED": hashing, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout
        for hashing in ("1", "2")
    ]
    assert told[0] == told[1] == "".join(f"{report(played(drawn(seed)))}\n" for seed in seeds)


SCRIPT = """
import sys
from tests.simulation.__main__ import report
from tests.simulation.plan import drawn
from tests.simulation.world import played
for seed in sys.argv[1:]:
    print(report(played(drawn(int(seed)))))
"""
