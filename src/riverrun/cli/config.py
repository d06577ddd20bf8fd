"""`riverrun config check`: a configuration judged whole, before a server depends on it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from riverrun.cli.local import foreseen_models
from riverrun.cli.terminal import out
from riverrun.config import Config, load
from riverrun.routing.model import Model
from riverrun.routing.target import Deadlines
from riverrun.server.answering import Answering, Local, answering, local_names
from riverrun.server.live import APPLIES

DEFAULT_FILE = Path("riverrun.toml")

SPANS = ((3600.0, "h"), (60.0, "m"), (1.0, "s"))

app = typer.Typer(help="Judge a configuration.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Judge a configuration."""


@app.command("check")
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file; riverrun.toml in this folder by itself.")
    ] = None,
) -> None:
    """Judge a configuration whole, and show who answers to which name.

    Keys are never shown, only where they come from. Without a file it is what the environment gives.
    """
    file = file or default_file()
    loaded = load(file, {}, os.environ)
    with loaded.hiding():
        judged = foreseen(loaded.config)
    out.print(f"{file} is valid." if file else "There is no riverrun.toml here: this is what the environment gives.")
    out.print()
    out.print(shown(judged))
    for line in (*_keys(loaded.variables), *_found(judged), *_restart()):
        out.print(Text(line), soft_wrap=True, style="dim")


def default_file() -> Path | None:
    """riverrun.toml in this folder, if it is there."""
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def foreseen(config: Config) -> Answering:
    """Who would answer, without fetching or starting anything. Raises Failure or ModelError."""
    local = Local(foreseen_models(local_names(config)), config.engine.context)
    return answering(config, os.environ, local)


def shown(judged: Answering) -> Table:
    """Every name, with its targets in the order in which they are asked."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("name", "targets", "connect", "first token", "idle", "total"):
        table.add_column(heading, overflow="fold")
    for name, model in judged.table.entries():
        for row in _rows(name, model):
            table.add_row(*map(Text, row))
    return table


def _rows(name: str, model: Model) -> Iterator[tuple[str, ...]]:
    if model.name != name:
        yield name, f"as {model.name}", "", "", "", ""
        return
    for tier in model.tiers:
        for each in tier:
            share = f" (weight {each.weight:g})" if len(tier) > 1 else ""
            yield name, each.target.name + share, *_spans(each.target.deadlines)
            name = ""
    for cause, targets in model.fallbacks.items():
        for target in targets:
            yield "", f"{target.name} (after {cause.name.lower()})", *_spans(target.deadlines)


def _spans(deadlines: Deadlines) -> tuple[str, ...]:
    return tuple(_span(each) for each in (deadlines.connect, deadlines.first_token, deadlines.idle, deadlines.total))


def _span(seconds: float | None) -> str:
    """90 → 90s, 600 → 10m, 0.5 → 500ms."""
    if seconds is None:
        return "off"
    size, unit = next(((size, unit) for size, unit in SPANS if seconds >= size and seconds % size == 0), (0.001, "ms"))
    return f"{seconds / size:g}{unit}"


def _keys(variables: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    for place, names in variables.items():
        yield f"{place} comes from {' and '.join(names)}."


def _found(judged: Answering) -> Iterator[str]:
    for name, each in judged.upstreams.items():
        if each.variable is not None:
            yield f"The key of {name} comes from {each.variable}."


def _restart() -> Iterator[str]:
    yield f"A running server takes over {', '.join(sorted(APPLIES))}; all other settings wait for a restart."
