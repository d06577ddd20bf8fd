"""`riverrun pull`: a model file onto this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from riverrun.cli.terminal import download_bar, out, size
from riverrun.engine.errors import ModelError
from riverrun.engine.folder import LocalModel, default_folder


def pull(
    model: Annotated[
        str, typer.Argument(metavar="NAME|URL|PATH", help="A catalogue name (see `riverrun models`), a URL or a path.")
    ],
) -> None:
    """Fetch a model file and verify it.

    An interrupted download goes on where it stopped. Models are kept in the user's cache folder, or in
    $RIVERRUN_MODELS.
    """
    found = fetched(model)
    out.print(f"{found.name}: {size(found.size)} in {found.path}")
    out.print(f"riverrun serve {found.name}", style="dim")


def fetched(model: str) -> LocalModel:
    """The model, pulled now if it is not there yet, with a progress bar."""
    try:
        from riverrun.engine import fetch  # needs the [local] extra
    except ImportError as missing:
        raise ModelError(
            f"Local models need the package {missing.name}; install it with: pip install 'riverrun[local]'"
        ) from None
    with download_bar(model) as report:
        return fetch.pull(model, default_folder(), report)
