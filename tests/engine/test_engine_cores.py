from __future__ import annotations

import os
from pathlib import Path

import pytest

from riverrun.engine import cores


def test_the_server_keeps_a_core_to_itself() -> None:
    assert 1 <= cores.engine_threads() <= max(1, (os.cpu_count() or 2) - 1)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("200000 100000\n", 2), ("150000 100000\n", 1), ("50000 100000", 1), ("max 100000\n", 1 << 16)],
)
def test_a_containers_quota_is_obeyed(tmp_path: Path, text: str, whole: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cores.cgroup_cores(tmp_path) == whole


def test_no_control_group_is_no_quota(tmp_path: Path) -> None:
    assert cores.cgroup_cores(tmp_path) == 1 << 16
