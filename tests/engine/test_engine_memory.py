from __future__ import annotations

from pathlib import Path

import pytest

from riverrun.engine import gguf, memory
from riverrun.engine.errors import DoesNotFit
from riverrun.engine.memory import Need

from .ggufs import MODEL
from .ggufs import gguf as built

GIB = 2**30


def test_the_context_of_all_slots_counts() -> None:
    model = gguf.parse(built(MODEL), "x")
    needed = memory.need(model, 98_000_000, context=8192, slots=4, batch=256)
    assert needed.weights == 98_000_000
    assert needed.context == 2 * 30 * 3 * 128 * 8192 * 4  # 16-bit keys and values, 30 layers, 3 heads of 64
    assert needed.working == memory.OVERHEAD + 4 * 256 * 2000
    assert needed.total == needed.weights + needed.context + needed.working


def test_what_fits_exactly_passes_and_one_byte_less_does_not() -> None:
    needed = Need(GIB, 2 * GIB, GIB // 2)
    memory.check("m", needed, needed.total)
    with pytest.raises(DoesNotFit) as refused:
        memory.check("m", needed, needed.total - 1)
    assert "m needs 3.50 GiB" in str(refused.value)
    assert "3.50 GiB is available: lower engine.context or engine.slots" in str(refused.value)


def test_weights_that_do_not_fit_alone_are_said_so() -> None:
    with pytest.raises(DoesNotFit, match="choose a smaller model"):
        memory.check("m", Need(GIB, GIB, GIB), GIB)


def test_this_machine_has_some_memory() -> None:
    assert 0 < memory.available() < 1 << 50


@pytest.mark.parametrize(
    ("limit", "used", "free"), [("100\n", "40\n", 60), ("100\n", "140\n", 0), ("max\n", "1\n", 1 << 62)]
)
def test_a_containers_limit_is_obeyed(tmp_path: Path, limit: str, used: str, free: int) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    assert memory.cgroup_free(tmp_path) == free


def test_no_control_group_is_no_limit(tmp_path: Path) -> None:
    assert memory.cgroup_free(tmp_path) == 1 << 62
