"""`riverrun usage`: what the ledger adds up to."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from riverrun.cli.config import default_file
from riverrun.cli.terminal import out
from riverrun.config import read
from riverrun.failures import bad_request
from riverrun.store.schema import MEMORY, place
from riverrun.store.sums import Column, Sum, Usage
from riverrun.store.sums import usage as added_up

SPAN = re.compile(r"(\d{1,6})([mhdw])")
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def usage(
    by: Annotated[Literal["day", "target"] | None, typer.Option(help="One more column.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE|SPAN", help="From 2026-01-31 (UTC) on, or the last 24h, 7d, 4w.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A TOML file; riverrun.toml in this folder by itself.")
    ] = None,
) -> None:
    """Sum up requests and tokens by tenant and model, from the ledger of the configuration.

    An attempt counts when it has ended, failed ones too: they may have cost something.
    """
    path = place(read(config_file or default_file(), {}, os.environ).store)
    if path is None or str(path) == MEMORY:
        raise bad_request('There is no ledger to read: [store] has url = "off" or keeps it in memory.')
    columns: tuple[Column, ...] = ("tenant", "model") if by is None else ("tenant", "model", by)
    found = added_up(path, columns, beginning(since, time.time()))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    out.print(_table(found, columns))
    for line in _remarks(found):
        out.print(line, style="dim", soft_wrap=True)


def beginning(written: str | None, now: float) -> float:
    """Unix seconds of "2026-01-31", "2026-01-31T12:00" (UTC where it says nothing else) or of a span before `now`.

    Raises Failure for anything else.
    """
    if written is None:
        return 0.0
    span = SPAN.fullmatch(written)
    if span:
        return now - int(span[1]) * SECONDS[span[2]]
    try:
        day = datetime.fromisoformat(written)
    except ValueError:
        raise bad_request(f"--since {written!r} is no date (2026-01-31) and no span (24h, 7d, 4w).") from None
    return (day if day.tzinfo is not None else day.replace(tzinfo=UTC)).timestamp()


def _table(found: Usage, columns: tuple[Column, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    for heading in ("requests", "attempts", "in", "cached", "out", "reasoning", "not reported"):
        table.add_column(heading, justify="right")
    for each in found.sums:
        table.add_row(*(Text(each.by[column]) for column in columns), *_figures(each))
    return table


def _figures(each: Sum) -> tuple[str, ...]:
    counts = (
        each.requests,
        each.attempts,
        each.prompt_tokens,
        each.cached_tokens,
        each.completion_tokens,
        each.reasoning_tokens,
    )
    return *(f"{count:,}" for count in counts), _share(each.counted + each.estimated, _tokens(each))


def _remarks(found: Usage) -> list[str]:
    tokens = sum(map(_tokens, found.sums))
    counted, estimated = (sum(getattr(each, name) for each in found.sums) for name in ("counted", "estimated"))
    remarks = [
        f"{tokens:,} tokens: {_share(tokens - counted - estimated, tokens)} as the providers report them, "
        f"{_share(counted, tokens)} counted here, {_share(estimated, tokens)} estimated."
    ]
    if found.open:
        remarks.append(f"{found.open:,} more attempts have not ended, or were never settled.")
    return remarks


def _tokens(each: Sum) -> int:
    return each.prompt_tokens + each.completion_tokens


def _share(part: int, whole: int) -> str:
    """A percentage that is 0 % only where it is nothing at all."""
    if not part:
        return "0 %"
    share = 100 * part / whole
    return "<1 %" if share < 1 else f"{share:.0f} %"
