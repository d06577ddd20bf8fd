"""What a person sees: the console, a complaint in one line, a progress bar for a download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from riverrun.engine.folder import Progress as Report

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def complain(what: str) -> int:
    """Says what went wrong, on stderr, and returns the exit code for it."""
    err.print(f"[red]riverrun:[/red] {_plain(what)}", soft_wrap=True)
    return 1


@contextmanager
def download_bar(what: str) -> Iterator[Report]:
    """A progress bar on stderr; gives the function that a download reports to. Gone when it is done."""
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    ]
    # A bar that can't be drawn again leaves an empty line instead.
    with Progress(*columns, console=err, transient=True, disable=not err.is_interactive) as bar:
        task = bar.add_task(f"fetching {what}", total=None)

        def report(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield report


def size(count: int) -> str:
    """A number of bytes for people: 98 MB, 1.8 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _plain(text: str) -> str:
    """Rich reads square brackets as markup; a message has them as they are."""
    return text.replace("[", r"\[")
