"""What a parent gives to its workers."""

from __future__ import annotations

from pathlib import Path

import msgspec

from riverrun.config import Config
from riverrun.config.tapes import TapesConfig, TapesUrl
from riverrun.server.workers.parent import plain, shared


def test_the_environment_of_a_worker_holds_no_key_that_is_known() -> None:
    environ = {"PATH": "/bin", "OPENAI_API_KEY": "k", "RIVERRUN_API_KEY": "k", "MINE": "k", "HTTPS_PROXY": "http://p"}
    assert plain(environ, {"upstream.a.key": ("MINE",)}) == {"PATH": "/bin", "HTTPS_PROXY": "http://p"}


def test_tapes_in_memory_become_files_that_all_workers_share(tmp_path: Path) -> None:
    changed = shared(Config(), tmp_path)
    assert changed.tapes.url.reveal() == f"file:{tmp_path}/tapes"
    assert msgspec.structs.replace(changed, tapes=TapesConfig()) == Config()
    for url in ("file:/tapes", "redis://localhost/0"):
        config = Config(tapes=TapesConfig(url=TapesUrl(url)))
        assert shared(config, tmp_path) is config
