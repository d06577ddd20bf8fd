"""The README: what it shows is run, and what it names exists."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000/v1"
EXAMPLE_LIMIT = 120


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def run(command: list[str]) -> str:
    environ = {**os.environ, "METRICS_KEY": "a-key-of-the-examples"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=EXAMPLE_LIMIT, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.engine
@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_examples(server_url: str, number: int, tmp_path: Path) -> None:
    code = blocks("python")[number].replace(ADDRESS, server_url)
    if code.startswith("def test_"):
        (tmp_path / "test_example.py").write_text(code, encoding="utf-8")
        out = run([sys.executable, "-m", "pytest", "-q", str(tmp_path / "test_example.py")])
    else:
        out = run([sys.executable, "-c", code])
    assert out.strip()


@pytest.mark.engine
def test_the_curl_line(server_url: str) -> None:
    (line,) = blocks("sh")
    assert "data: [DONE]" in run(["bash", "-c", line.replace(ADDRESS, server_url)])


@pytest.mark.parametrize("number", range(len(blocks("toml"))))
def test_settings(number: int, tmp_path: Path) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text(blocks("toml")[number], encoding="utf-8")
    assert "connect" in run([sys.executable, "-m", "riverrun", "config", "check", str(file)])


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target
    for name in re.findall(r"`((?:scripts|docs|benchmarks)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_commands_exist() -> None:
    """Every `riverrun VERB` that the README shows is a verb."""
    verbs = set(re.findall(r"(?:^|\) )riverrun (\w+)", "\n".join(blocks("console")), re.MULTILINE))
    assert verbs == {"serve", "chat", "models", "pull", "check", "config"}
    for verb in verbs:
        assert "Usage: " in run([sys.executable, "-m", "riverrun", verb, "--help"])
