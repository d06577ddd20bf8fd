"""What one family of models takes that another refuses, as data by patterns of the model's name (`families.toml`)."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from riverrun.dialects.draft import Body, Draft, invalid, unsupported
from riverrun.dialects.rows import Row

LEAST_BUDGET = 1024
"""Thinking tokens that the API asks for at least."""


class Family(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One family's ways.

    `max_tokens`: the most it gives in one answer; the API wants a limit, and a caller who names none wants no other.
    `thinking`: "budget" takes a number of tokens, "adaptive" decides itself and takes an effort. `always`: it can't be
    told not to think. `silent`: it keeps its thoughts to itself unless it is told to show a summary.
    `effort`: an effort's name there, where it is another one. `sampling`: takes temperature and top_p.
    `schemas`: "native" holds an answer to a JSON schema; the others do so for a tool's arguments alone.
    """

    match: tuple[str, ...]
    max_tokens: int
    thinking: Literal["none", "budget", "adaptive"] = "none"
    always: bool = False
    silent: bool = False
    effort: dict[str, str] = {}
    sampling: bool = True
    schemas: Literal["native", "tool"] = "tool"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    budgets: dict[str, int]
    family: tuple[Family, ...]


TABLE = msgspec.convert(tomllib.loads(files(__package__).joinpath("families.toml").read_text(encoding="utf-8")), _Table)


@lru_cache(maxsize=256)
def family(name: str) -> Family:
    """The family of a model, by the name that the upstream knows."""
    lower = name.lower()
    return next(row for row in TABLE.family if any(fnmatchcase(lower, pattern) for pattern in row.match))


def thinking(model: Family, effort: str, limit: int) -> Body | None:
    """What a `reasoning_effort` becomes: `thinking`, and `output_config` where there is an effort.

    None where the model can't be told. A budget leaves at least half of the `limit` (tokens) to the answer.
    """
    if effort == "none":
        off: Body = {} if model.thinking != "adaptive" else {"thinking": {"type": "disabled"}}
        return None if model.always else off
    if model.thinking == "adaptive":
        shown: Body = {"display": "summarized"} if model.silent else {}
        named = model.effort.get(effort, effort)
        return {"thinking": {"type": "adaptive", **shown}, "output_config": {"effort": named}}
    budget = min(TABLE.budgets[effort], limit // 2)
    if model.thinking == "none" or budget < LEAST_BUDGET:
        return None
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def unsaid(draft: Draft[Row]) -> frozenset[str]:
    """The sampling parameters that need no word, because the model does so anyway.

    Raises Failure (400) for one that the model does not take, and for a temperature over 1, which is the most here.
    """
    takes = family(draft.target.model).sampling
    given = {name: getattr(draft.request, name) for name in ("temperature", "top_p")}
    for name, value in given.items():
        if value is None or value == 1:
            continue
        if not takes:
            raise unsupported(name, draft.target)
        if value > 1:
            raise invalid(name, f"this model takes 0 to 1, and it is {value:g}")
    return frozenset() if takes else frozenset(given)
