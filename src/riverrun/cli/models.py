"""`riverrun models`: what can run here."""

from __future__ import annotations

from rich.table import Table

from riverrun.cli.terminal import out, size
from riverrun.engine import catalogue
from riverrun.engine.folder import default_folder, installed


def models() -> None:
    """List the models of the catalogue and those on this machine."""
    folder = default_folder()
    here = {model.name: model for model in installed(folder)}
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
        f"\nFetch one with `riverrun pull NAME`; any other GGUF file by URL or path. They are kept in {folder}.",
        style="dim",
        soft_wrap=True,
    )
