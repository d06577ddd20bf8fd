"""What `serve` and `chat` share: the models of this machine, and a server for one conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

from riverrun.cli.pull import fetched
from riverrun.config import Config, EngineConfig
from riverrun.engine import catalogue
from riverrun.engine.folder import LocalModel, default_folder, installed, local_model
from riverrun.server.build import build
from riverrun.server.host import running


def chosen_models(wanted: Sequence[str]) -> dict[str, Path]:
    """Name to file: what was asked for, in order (catalogue names are fetched if missing), then all that is here.

    Raises ModelError for a name that nobody knows and a path where there is no file.
    """
    models: dict[str, Path] = {}
    for name in wanted:
        path = Path(name).expanduser()
        model = local_model(path) if catalogue.find(name) is None and path.is_file() else _here(name)
        models[model.name] = model.path
    for model in installed(default_folder()):
        models.setdefault(model.name, model.path)
    return models


@contextmanager
def local_server(runner: asyncio.Runner, model: str) -> Iterator[str]:
    """A server in this process, for this conversation only; gives its address."""
    logging.getLogger("riverrun").setLevel(logging.ERROR)
    app = build(Config(engine=EngineConfig(slots=1)), chosen_models([model]), SystemRandom())
    context = running(app)
    address = runner.run(context.__aenter__())
    try:
        yield address.url
    finally:
        runner.run(context.__aexit__(None, None, None))


def _here(name: str) -> LocalModel:
    """The model of this name on this machine, fetched now if it is not there."""
    row = catalogue.find(name)
    wanted = row.name if row is not None else name
    return next((model for model in installed(default_folder()) if model.name == wanted), None) or fetched(name)
