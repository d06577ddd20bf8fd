from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from riverrun.engine.private import PREFIX, PrivateFolder, sweep

HOLD = """
import sys
from riverrun.engine.private import PrivateFolder
folder = PrivateFolder()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_folder_is_ours_alone_and_goes_when_it_is_removed(runtime: Path) -> None:
    folder = PrivateFolder()
    assert folder.path.parent == runtime
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "e.sock").touch()
    folder.remove()
    folder.remove()
    assert list(runtime.iterdir()) == []


def test_the_path_of_its_socket_is_short(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = runtime / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", str(long))
    folder = PrivateFolder()
    assert len(os.fsencode(folder.path / "e.sock")) < 103
    folder.remove()
    assert list(long.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a folder can't be locked there")
def test_what_a_killed_owner_left_is_swept_and_what_a_living_one_has_stays(runtime: Path) -> None:
    mine = PrivateFolder()
    (runtime / f"{PREFIX}stale").mkdir()
    (runtime / "riverrun-notes").mkdir()  # somebody else's
    (runtime / f"{PREFIX}link").symlink_to(runtime / "riverrun-notes")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe, text=True) as owner:
        assert owner.stdout is not None
        theirs = Path(owner.stdout.readline().strip())
        assert not (runtime / f"{PREFIX}stale").exists()
        assert mine.path.exists()
        (theirs / "e.sock").touch()
        PrivateFolder().remove()
        assert theirs.exists()
        owner.kill()
        owner.wait()
    PrivateFolder().remove()
    assert not theirs.exists()
    assert mine.path.exists()
    assert (runtime / "riverrun-notes").exists()
    mine.remove()


def test_whoever_inherited_the_lock_holds_the_folder_too(runtime: Path) -> None:
    folder = PrivateFolder()
    inherited = [os.dup(lock) for lock in folder.lock]
    for lock in folder.lock:  # as when its owner is killed
        os.close(lock)
    sweep(runtime)
    assert folder.path.exists()
    for lock in inherited:
        os.close(lock)
    sweep(runtime)
    assert not folder.path.exists()
