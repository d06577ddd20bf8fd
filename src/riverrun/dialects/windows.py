"""How long a prompt hosted models take, as data by patterns of the model's name at each provider (`windows.toml`)."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from importlib.resources import files

import msgspec


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tokens` that a prompt may have, of the models whose names fit one of the patterns."""

    tokens: int
    match: tuple[str, ...]


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`rows` of the dialects' table that are one provider, with the same names for its models."""

    rows: tuple[str, ...]
    windows: tuple[Window, ...]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    provider: tuple[Provider, ...]


TABLE = msgspec.convert(tomllib.loads(files(__package__).joinpath("windows.toml").read_text(encoding="utf-8")), _Table)
WINDOWS = {row: provider.windows for provider in TABLE.provider for row in provider.rows}


def window(row: str, model: str) -> int | None:
    """Tokens that a prompt may have for this model at the provider whose row it is; None where nobody here knows."""
    name = model.lower()
    fitting = (each for each in WINDOWS.get(row, ()) if any(fnmatchcase(name, pattern) for pattern in each.match))
    return next((each.tokens for each in fitting), None)
