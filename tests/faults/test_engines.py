"""A real second engine as upstream, killed in mid-stream: the answer goes on at riverrun's own by prefill."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.engines import second_killed

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("after", [3, 25])
def test_an_answer_goes_on_at_another_engine_when_its_own_is_killed(model_path: Path, after: int) -> None:
    one = asyncio.run(second_killed(model_path, after, seed=after))
    assert one.so_far
    assert one.whole, one
    assert not one.wrong_bytes
    assert len(one.text) > len(one.so_far)
