"""`riverrun models`: who answers to which name, and how each one stands; and what can run on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from riverrun.cli.config import default_file, foreseen, shown
from riverrun.cli.terminal import out, size
from riverrun.config import load
from riverrun.engine import catalogue
from riverrun.engine.folder import default_folder, installed
from riverrun.server.control import ask, path_of, sockets

STYLES = {"closed": "green", "ready": "green", "open": "red", "failed": "red"}
WORDS = {"closed": "well", "open": "down (breaker open)", "half-open": "probing (breaker half-open)"}
"""What a breaker's state means to a person; a local model's is its process's own word."""


class Standing(msgspec.Struct, frozen=True):
    """A target as a running server tells of it."""

    target: str
    tier: int
    state: str
    after: str = ""


class Name(msgspec.Struct, frozen=True):
    name: str
    targets: tuple[Standing, ...]
    alias_of: str | None = None


class Told(msgspec.Struct, frozen=True):
    version: str
    models: tuple[Name, ...]


def models(
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A TOML file; riverrun.toml in this folder by itself.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="The port of the running server to ask.")] = None,
) -> None:
    """List who answers to which name, and the models of the catalogue and of this machine."""
    loaded = load(config_file or default_file(), {"server": {"port": port}}, os.environ)
    settings = loaded.config
    told = running(settings.server.host, settings.server.port, only=port is not None)
    if told is not None:
        out.print(_standing(told), "\n")
    elif settings.routes:
        out.print("No server is running; this is the configuration.", style="dim")
        with loaded.hiding():
            out.print(shown(foreseen(settings)), "\n")
    _catalogue()


def running(host: str, port: int, *, only: bool) -> Told | None:
    """What the server on this address says; if none does, the one that has the port, whatever its host; and if not
    `only` that port was meant, the one server that runs."""
    groups = [[path_of(host, port)], sockets(port), [] if only else sockets()]
    for paths in groups:
        answers = [answer for path in paths if path.exists() and (answer := ask(path)) is not None]
        if answers:
            return msgspec.convert(answers[0], Told) if len(answers) == 1 else None
    return None


def _standing(told: Told) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("name", "targets", "state"):
        table.add_column(heading, overflow="fold")
    for model in told.models:
        if model.alias_of is not None:
            table.add_row(Text(model.name), Text(f"as {model.alias_of}"), "")
            continue
        for number, each in enumerate(model.targets):
            state = Text(WORDS.get(each.state, each.state), style=STYLES.get(each.state, ""))
            after = f" (after {each.after})" if each.after else ""
            table.add_row(Text(model.name if number == 0 else ""), Text(each.target + after), state)
    return table


def _catalogue() -> None:
    place = default_folder()
    here = {model.name: model for model in installed(place)}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("name", "here", "size", "licence", "about"):
        table.add_column(heading, justify="right" if heading == "size" else "left", overflow="fold")
    for row in catalogue.rows():
        model = here.pop(row.name, None)
        table.add_row(row.name, "yes" if model else "", size(row.size), row.licence, row.about)
    for model in here.values():
        table.add_row(model.name, "yes", size(model.size), "", "not in the catalogue")
    out.print(table)
    out.print(
        f"\nFetch one with `riverrun pull NAME`; any other GGUF file by URL or path. They are kept in {place}.",
        style="dim",
        soft_wrap=True,
    )
