"""The models that are known by name: data rows, and how a name finds its row. It fetches nothing."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec
from msgspec import Meta

from riverrun.engine.errors import ModelError


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One place that has the file: exactly one of `hf` (a URL), `wheel` (with `member`) and `path` is given."""

    hf: str | None = None
    wheel: str | None = None
    member: str | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if sum(kind is not None for kind in (self.hf, self.wheel, self.path)) != 1:
            raise ValueError("a source is one of hf, wheel and path")
        if (self.wheel is None) != (self.member is None):
            raise ValueError("wheel and member belong together")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model: what it is called, what it may be used for, which bytes it is, and where they can be had."""

    name: str
    aliases: tuple[str, ...]
    about: str
    licence: str
    parameters: str
    file: Annotated[str, Meta(pattern=r"^[\w.-]+\.gguf$")]
    size: Annotated[int, Meta(gt=0)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    context: Annotated[int, Meta(gt=0)]
    sampling: Mapping[str, float]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: tuple[Row, ...]


@cache
def rows() -> tuple[Row, ...]:
    """Every row of catalogue.toml, in its order."""
    text = resources.files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _Document).model


def find(name: str) -> Row | None:
    """The row of a name or alias, whatever its case."""
    folded = name.casefold()
    return next((row for row in rows() if folded in (row.name, *row.aliases)), None)


def named(name: str) -> Row:
    """The row of a name or alias; raises ModelError with the nearest names where there is none."""
    row = find(name)
    if row is not None:
        return row
    known = [row.name for row in rows()]
    near = difflib.get_close_matches(name.casefold(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the catalogue has {', '.join(known)}."
    raise ModelError(f"No model is called {name!r}: {hint} A URL or a path of a GGUF file works too.")


def of_file(file: str, size: int) -> Row | None:
    """The row whose file has this name and size, in bytes: what a model folder holds is recognised by it."""
    return next((row for row in rows() if row.file == file and row.size == size), None)


def of_digest(sha256: str) -> Row | None:
    """The row whose file has this SHA-256, in lower-case hex."""
    return next((row for row in rows() if row.sha256 == sha256), None)
