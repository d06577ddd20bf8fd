"""A model that is named and can't run is told before the server listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from riverrun.cli.local import chosen_models
from riverrun.engine.errors import NotGguf
from tests.cli.test_cli import complaint
from tests.engine.ggufs import MODEL, Tensor, gguf

TENSORS = (Tensor("a", (64,), 0, 0),)
WHOLE = gguf(MODEL, tensors=TENSORS, align=32, tail=bytes(256))


def test_serving_a_file_that_is_no_whole_model_ends_at_once_in_one_line(tmp_path: Path) -> None:
    text, garbage, cut = tmp_path / "notes.txt", tmp_path / "garbage.gguf", tmp_path / "cut.gguf"
    text.write_text("dear diary")
    garbage.write_bytes(b"GGUF and then nothing that is one")
    cut.write_bytes(WHOLE[:-100])
    for file, says in ((text, "is not a GGUF file"), (garbage, "version"), (cut, "ends too early")):
        said = complaint("serve", "--port", "0", str(file), RIVERRUN_MODELS=str(tmp_path / "models"))
        assert str(file) in said
        assert says in said


def test_only_the_models_that_are_named_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVERRUN_MODELS", str(tmp_path))
    (tmp_path / "broken.gguf").write_bytes(WHOLE[:-100])
    (tmp_path / "whole.gguf").write_bytes(WHOLE)
    assert list(chosen_models([str(tmp_path / "whole.gguf")])) == ["whole", "broken"]
    for name in ("broken", str(tmp_path / "broken.gguf")):
        with pytest.raises(NotGguf, match=r"broken\.gguf is not a whole GGUF file"):
            chosen_models([name])
