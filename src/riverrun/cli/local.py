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
from riverrun.engine import catalogue, gguf
from riverrun.engine.folder import LocalModel, default_folder, installed, local_model
from riverrun.server.build import build
from riverrun.server.host import running


def chosen_models(wanted: Sequence[str]) -> dict[str, Path]:
    """Name to file: what was asked for, in order (catalogue names are fetched if missing), then all that is here.
    Who asks for none gets none.

    Raises ModelError for a name that nobody knows, and for a path where there is no whole model file.
    """
    models: dict[str, Path] = {}
    for name in wanted:
        path = Path(name).expanduser()
        model = local_model(path) if catalogue.find(name) is None and path.is_file() else _here(name)
        gguf.read(model.path)  # a broken one is told now, not to the first who asks it
        models[model.name] = model.path
    for model in installed(default_folder()) if wanted else ():
        models.setdefault(model.name, model.path)
    return models


def foreseen_models(wanted: Sequence[str]) -> list[str]:
    """The names that `chosen_models` would give, without fetching any. Raises ModelError for one that nobody knows."""
    here = [model.name for model in installed(default_folder())]
    names = [_foreseen(name, here) for name in wanted]
    return list(dict.fromkeys([*names, *here])) if wanted else []


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


def _foreseen(name: str, here: list[str]) -> str:
    path = Path(name).expanduser()
    if catalogue.find(name) is None and path.is_file():
        return local_model(path).name
    return name if name in here else catalogue.named(name).name
