"""What `pull` says where nobody watches a bar."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_cli import riverrun_


def test_a_complaint_begins_in_the_first_line(tmp_path: Path) -> None:
    for model in ("no-such-model", "http://127.0.0.1:1/x.gguf", str(tmp_path / "none.gguf")):
        done = riverrun_("pull", model, RIVERRUN_MODELS=str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.startswith("riverrun: ")
