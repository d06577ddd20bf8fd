"""What a person may do to a running server: change its configuration, and ask how it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from riverrun.config import Config
from riverrun.server.control import Control


class Steering:
    """`environ` may hold keys of upstreams. `file` is the configuration, which `again` reads anew (None: there is
    none, so nothing is watched)."""

    def __init__(self, environ: Mapping[str, str], file: Path | None, again: Callable[[], Config]) -> None:
        self.environ = environ
        self.file = file
        self.again = again
        self.control = Control()
