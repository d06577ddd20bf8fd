"""The rows of `upstreams.toml`: how one imitator of the Chat Completions API differs from the next, as data."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Literal

import msgspec

from riverrun.stream.deltas import FinishReason
from riverrun.wire.jsonvalue import JsonObject


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One upstream's ways. Every default is what api.openai.com does.

    `extra`: the parameters it takes beyond the API's own, or "any" where its own validation decides. `ours`: what
    riverrun does itself and never passes on. `refused`: what changes the meaning and can't be said there (400).
    `dropped`: hints that it does not know. `rename`: a parameter's name there; where both names are given the left
    one wins. `constants`: sent with every request. `effort`: what a `reasoning_effort` becomes; without the table
    it is passed on, with it an effort that is not in it is a dropped hint.
    `draw_seed`: a request without a seed gets one, because the same seed gives the same answer there.
    `seed`: "uint32" folds the 64-bit seed and avoids the number that means random. `parts`: "target" lets only the
    target's modalities through, as data and not as URLs. `tool_choice`: "words" for none, auto, required alone.
    `functions`: knows the deprecated functions and function_call. `schemas`: "checked" refuses what its grammar
    can't hold to. `least_top_logprobs`: the fewest that give logprobs at all.
    `model`, `fingerprint`: whose word stands in the answer. `finish`: "implied" where [DONE] alone ends a choice.
    `finish_reasons`: its own words for the API's reasons; "error" is a failure.
    """

    extra: Literal["any"] | tuple[str, ...] = ()
    ours: tuple[str, ...] = ("stream", "stream_options", "n")
    refused: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    constants: JsonObject = {}
    effort: dict[str, JsonObject] | None = None
    roles: dict[str, str] = {}
    n: Literal["native", "fan-out"] = "native"
    seed: Literal["int64", "uint32"] = "int64"
    draw_seed: bool = False
    parts: Literal["any", "target"] = "any"
    tool_choice: Literal["any", "words"] = "any"
    functions: bool = True
    schemas: Literal["any", "checked"] = "any"
    least_top_logprobs: int = 0
    model: Literal["reported", "target"] = "reported"
    fingerprint: Literal["reported", "target"] = "reported"
    finish: Literal["required", "implied"] = "required"
    finish_reasons: dict[str, FinishReason | Literal["error"]] = {}


def parse_rows(text: str) -> dict[str, Row]:
    """The rows of a TOML text, by name. Raises msgspec.ValidationError for a field that no row has."""
    return msgspec.convert(tomllib.loads(text), dict[str, Row])


ROWS = parse_rows(files(__package__).joinpath("upstreams.toml").read_text(encoding="utf-8"))
