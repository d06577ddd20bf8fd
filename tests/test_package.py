"""The package: its version, its pinned requirements, and what a wheel of it holds."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import riverrun

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned(file: str) -> dict[str, str]:
    """Name to version in a requirements file; every package in it must have a hash."""
    text = (ROOT / "requirements" / file).read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert all("--hash=sha256:" in line for line in lines)
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def test_every_requirement_is_pinned_by_hash() -> None:
    extras = PROJECT["optional-dependencies"]
    for file, wanted in (("serve.txt", extras["local"]), ("test.txt", extras["local"] + extras["dev"])):
        names = {re.split(r"[<>=; ]", each, maxsplit=1)[0] for each in PROJECT["dependencies"] + wanted}
        assert names <= set(pinned(file)), file


def test_both_pin_the_same_versions() -> None:
    serve, test = pinned("serve.txt"), pinned("test.txt")
    assert serve == {name: test[name] for name in serve}


def test_a_wheel_has_the_data_files_and_the_types_marker(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    assert f"-{riverrun.__version__}-" in wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = (path.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*"))
    wanted = {str(path) for path in sources if path.suffix in (".py", ".toml", ".html", ".typed")}
    assert wanted <= names
    assert not any("test" in name for name in names if "pytest" not in name)
