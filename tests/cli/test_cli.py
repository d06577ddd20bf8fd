"""The command line as a person meets it: help that reads well, one clear line for whatever goes wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import riverrun
from tests.servers import Served


def riverrun_(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "riverrun", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "100", **environ},
    )


def complaint(*arguments: str, **environ: str) -> str:
    """The one line that a failing command says."""
    done = riverrun_(*arguments, **environ)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("riverrun: ")
    return lines[0]


def test_version_and_help() -> None:
    assert riverrun_("--version").stdout.strip() == f"riverrun {riverrun.__version__}"
    shown = riverrun_("--help").stdout
    assert all(verb in shown for verb in ("serve", "chat", "pull", "models", "check", "config", "key", "usage"))


@pytest.mark.parametrize("verb", ["serve", "chat", "pull", "models", "check", "config", "key", "usage"])
def test_every_verb_explains_itself(verb: str) -> None:
    done = riverrun_(verb, "--help")
    assert done.returncode == 0
    assert "Usage: riverrun" in done.stdout


@pytest.mark.parametrize("arguments", [["dance"], ["serve", "--nonsense"], ["pull"], ["serve", "--port", "many"]])
def test_a_wrong_command_is_exit_code_2(arguments: list[str]) -> None:
    done = riverrun_(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Usage" in done.stderr


def test_an_unknown_model(tmp_path: Path) -> None:
    assert "did you mean smollm2-135m?" in complaint("pull", "smollm2-13b", RIVERRUN_MODELS=str(tmp_path))


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "not-a-model.gguf"
    file.write_bytes(b"hello" * 100)
    assert "GGUF" in complaint("pull", str(file), RIVERRUN_MODELS=str(tmp_path / "models"))


def test_a_wrong_setting(tmp_path: Path) -> None:
    assert "$.server.port" in complaint("serve", "--port", "99999")
    assert "none.toml" in complaint("serve", "--config", str(tmp_path / "none.toml"))


@pytest.mark.engine
def test_a_taken_port(server: Served) -> None:
    said = complaint("serve", "--port", str(server.port))
    assert "in use" in said
    assert "--port" in said


@pytest.mark.engine
def test_off_loopback_it_needs_a_key(model_path: Path) -> None:
    assert "RIVERRUN_API_KEY" in complaint("serve", "--host", "0.0.0.0", "--port", "0")


def test_models_lists_the_catalogue(tmp_path: Path) -> None:
    shown = riverrun_("models", RIVERRUN_MODELS=str(tmp_path)).stdout
    assert "smollm2-135m" in shown
    assert "Apache-2.0" in shown
    assert str(tmp_path) in shown


@pytest.mark.engine
def test_pulling_what_is_there_is_quick_and_says_where(model_path: Path) -> None:
    done = riverrun_("pull", "smollm2")
    assert done.returncode == 0
    assert "smollm2-135m" in done.stdout


@pytest.mark.engine
def test_a_conversation_from_a_pipe(server: Served) -> None:
    done = riverrun_("chat", "--url", server.url, "--max-tokens", "20", stdin="Say hello.\nAnd again.\n")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stderr.count("tokens/s") == 2


@pytest.mark.engine
def test_a_conversation_with_a_server_of_its_own(model_path: Path) -> None:
    done = riverrun_("chat", "--max-tokens", "20", stdin="Say hello.\n")
    assert done.returncode == 0
    assert done.stdout.strip()


def test_a_conversation_with_nobody() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = riverrun_("chat", "--url", f"http://127.0.0.1:{taken.getsockname()[1]}/v1", stdin="hello\n")
    assert "Traceback" not in done.stderr
    assert "refused" in done.stderr
