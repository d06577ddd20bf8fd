"""The simulation finds bugs: each of those that are planted on purpose."""

from __future__ import annotations

import pytest

from tests.simulation.bugs import BUGS, Plant
from tests.simulation.checks import broken
from tests.simulation.plan import drawn
from tests.simulation.world import played

ENOUGH = 300
"""Seeds within which it must be found."""


@pytest.mark.parametrize(("plant", "check"), BUGS.values(), ids=BUGS)
def test_it_is_found(plant: Plant, check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found = (wrong for seed in range(ENOUGH) for wrong in broken(played(drawn(seed))))
    assert any(wrong.startswith(check) for wrong in found)
