"""The names of the faults and the sentences about each, in the order of their numbers (`faults.toml`)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`done`: what is done to whom. `passes`: what must come of every try."""

    name: str
    done: str
    passes: str


FAULTS = msgspec.convert(tomllib.loads(Path(__file__).with_name("faults.toml").read_text("utf-8")), dict[str, Fault])
