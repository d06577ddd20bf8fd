"""What a `reasoning_effort` becomes, as data by patterns of the model's name (`scales.toml`)."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files

import msgspec

from riverrun.wire.jsonvalue import JsonObject

Scale = dict[str, JsonObject]
"""By effort, what the model is told; an effort that is not in it can't be told."""


class _Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`models`: the scale of a model, by the first pattern that fits; an empty name is none. `scales`: by name."""

    models: dict[str, str]
    scales: dict[str, Scale]


LANGUAGES = msgspec.convert(
    tomllib.loads(files(__package__).joinpath("scales.toml").read_text(encoding="utf-8")), dict[str, _Language]
)


@lru_cache(maxsize=256)
def scale(dialect: str, model: str) -> Scale | None:
    """The efforts that a model knows; None where it does not think, or nobody knows whether it does."""
    language = LANGUAGES[dialect]
    name = next((name for pattern, name in language.models.items() if fnmatchcase(model, pattern)), "")
    return language.scales.get(name)
