from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from riverrun.engine import folder


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RIVERRUN_MODELS", str(tmp_path / "here"))
    assert folder.default_folder() == tmp_path / "here"
    monkeypatch.delenv("RIVERRUN_MODELS")
    assert folder.default_folder().parts[-2:] == ("riverrun", "models")


def test_lists_whole_models_by_name_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.gguf", "a.gguf", "c.gguf.part", "a.gguf.json", ".a.gguf.lock"):
        (tmp_path / name).write_bytes(b"x")
    assert [(model.name, model.size, model.row) for model in folder.installed(tmp_path)] == [
        ("a", 1, None),
        ("b", 1, None),
    ]
    assert folder.installed(tmp_path / "absent") == []


def test_a_digest_is_computed_once_for_an_unchanged_file(tmp_path: Path) -> None:
    path, seen = tmp_path / "m.gguf", []
    path.write_bytes(b"one")
    assert folder.digest(path, lambda done, total: seen.append((done, total))) == hashlib.sha256(b"one").hexdigest()
    assert seen == [(3, 3)]
    folder.digest(path, lambda done, total: seen.append((done, total)))
    assert len(seen) == 1


def test_a_changed_file_is_digested_again(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"one")
    folder.digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert folder.digest(path) == hashlib.sha256(b"two").hexdigest()


def test_a_broken_note_is_no_note(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"one")
    (tmp_path / "m.gguf.json").write_bytes(b"{")
    assert folder.digest(path) == hashlib.sha256(b"one").hexdigest()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.gguf", "m.gguf.json"]
