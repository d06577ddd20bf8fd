from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from riverrun.engine.settings import NotReady, Report

from .real import small

WITHOUT = """
import runpy, sys
sys.modules[{module!r}] = None
runpy.run_module("riverrun.engine.child", run_name="__main__")
"""
CHILD = ("-m", "riverrun.engine.child")


def said(command: tuple[str, ...], model: Path, folder: Path) -> tuple[NotReady, int]:
    """What a child that can't run says on stdout, all of it, and its exit status."""
    settings = msgspec.json.encode(small(model=str(model), folder=str(folder))) + b"\n"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(settings)
        child.stdin.flush()
        report = msgspec.json.decode(child.stdout.read(), type=Report)
        assert isinstance(report, NotReady)
        return report, child.wait(30)


@pytest.mark.parametrize("module", ["xllamacpp", "psutil"])
def test_a_missing_extra_is_reported_with_the_way_to_get_it(tmp_path: Path, module: str) -> None:
    report, _ = said(("-c", WITHOUT.format(module=module)), tmp_path / "m.gguf", tmp_path / "private")
    assert 'pip install "riverrun[local]"' in report.message
    assert module in report.message


def test_a_child_that_can_not_run_says_so_in_one_line_and_takes_its_folder_with_it(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    report, status = said(CHILD, tmp_path / "m.gguf", tmp_path / "private")
    assert "can't be read: No such file" in report.message
    assert status == 1
    assert not (tmp_path / "private").exists()


def test_a_child_whose_parent_is_gone_leaves_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    settings = msgspec.json.encode(small(model=str(tmp_path / "m.gguf"), folder=str(tmp_path / "private"))) + b"\n"
    child = subprocess.run([sys.executable, *CHILD], input=settings, capture_output=True, timeout=60)
    assert not (tmp_path / "private").exists()
    assert child.returncode in (0, 1)  # 1: it found out first that it can't run
