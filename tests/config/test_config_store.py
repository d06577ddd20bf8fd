"""Where the ledger is kept, as it may be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from riverrun.config import read
from riverrun.config.store import StoreConfig
from riverrun.failures import Failure


@pytest.mark.parametrize(
    ("url", "path"), [("off", None), ("sqlite:", ""), ("sqlite::memory:", ":memory:"), ("sqlite:a b.db", "a b.db")]
)
def test_a_place(url: str, path: str | None) -> None:
    assert StoreConfig(url).path == path


@pytest.mark.parametrize("url", ["", "postgresql://me:canary@db/ledger", "ledger.sqlite", "SQLITE:x"])
def test_another_place_is_refused_without_repeating_it(tmp_path: Path, url: str) -> None:
    file = tmp_path / "riverrun.toml"
    file.write_text(f'[store]\nurl = "{url}"\n')
    with pytest.raises(Failure, match=r'"sqlite:PATH".*\$.store') as caught:
        read(file, {}, {})
    assert "canary" not in caught.value.message
