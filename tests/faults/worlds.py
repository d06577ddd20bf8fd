"""X27: the whole server in made-up worlds (tests/simulation), a seed each."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.rows import Outcome, Row
from tests.simulation.__main__ import tried

SEEDS = 4000


def rows() -> Iterator[Row]:
    yield Row(
        "X27", "a world of replicas, tenants, upstreams and clients, in which V1 to V9 hold", SEEDS, _worlds, in_suite=0
    )


def _worlds(n: int) -> Iterator[Outcome]:
    """The suite plays the first thousand by itself (tests/simulation/test_simulation.py)."""
    for seed in range(n):
        yield Outcome(whole=True, broken="" if tried(seed) is None else f"scripts/simulate {seed}")
