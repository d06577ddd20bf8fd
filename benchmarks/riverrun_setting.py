"""riverrun as it is measured: `riverrun serve` with its defaults before the scripted upstream, and what a part of the
benchmark changes of them. Its data go to a folder of the benchmark's.
"""

from __future__ import annotations

import sys
from pathlib import Path

SETTING = """\
[engine]
models = []

[upstream.play]
base_url = "http://127.0.0.1:{upstream}/v1"
key = "none"

[[model]]
name = "play-*"
targets = ["play/play-*"]
{more}"""
"""Everything that is on by default is on: one worker, tapes in memory, ledger, metrics, log."""

DIALECTS = ("openai", "anthropic", "gemini")
_DIALECT = """
[upstream.in-{dialect}]
dialect = "{dialect}"
base_url = "http://127.0.0.1:{{upstream}}{path}"
key = "none"

[[model]]
name = "{dialect}/play-*"
targets = ["in-{dialect}/play-*"]
"""
_PATHS = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
IN_DIALECTS = "".join(_DIALECT.format(dialect=dialect, path=_PATHS[dialect]) for dialect in DIALECTS)
"""Three more upstreams, one for each language that upstream.c speaks; a model's name begins with its dialect."""


def start(
    folder: Path, port: int, upstream: int, more: str = "", workers: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """The command and the environment variables of one server; `more` is added to its settings."""
    file = folder / "riverrun.toml"
    file.write_text(SETTING.format(upstream=upstream, more=more))
    command = [sys.executable, "-m", "riverrun", "serve", "--config", str(file), "--port", str(port)]
    if workers is not None:
        command += ["--workers", str(workers)]
    return command, {"XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
