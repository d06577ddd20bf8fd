"""What all tests share: the default model's file, and a server as a user starts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from riverrun.engine import fetch
from riverrun.engine.folder import default_folder
from tests.servers import Served, serving


@pytest.fixture(scope="session", autouse=True)
def data_folder() -> Iterator[None]:
    """The ledgers of servers that tests start are no user's: they go to a folder of this run."""
    with TemporaryDirectory() as folder:
        before = os.environ.get("XDG_DATA_HOME")
        os.environ["XDG_DATA_HOME"] = folder
        yield
        if before is None:
            del os.environ["XDG_DATA_HOME"]
        else:
            os.environ["XDG_DATA_HOME"] = before


@pytest.fixture(scope="session")
def model_path() -> Path:
    """The default model's file, fetched if it is not there (scripts/test has done that before)."""
    return fetch.pull("smollm2-135m", default_folder(), lambda done, total: None).path


@pytest.fixture(scope="session")
def server(model_path: Path) -> Iterator[Served]:
    """`riverrun serve` as a process of its own, with the default model."""
    with serving() as served:
        yield served


@pytest.fixture(scope="session")
def server_url(server: Served) -> str:
    """Its address as clients want it: http://127.0.0.1:PORT/v1."""
    return server.url
