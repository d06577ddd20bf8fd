"""The rows of `upstreams.toml`: how one upstream differs from the next, as data.

Rows know who an upstream is and what it takes; what is done with that is the dialects' and the backends' business.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Annotated, Literal

import msgspec

from riverrun.dialects.ranges import Range
from riverrun.stream.deltas import FinishReason
from riverrun.wire.jsonvalue import JsonObject

Auth = Annotated[str, msgspec.Meta(pattern=r"^(bearer|none|sigv4|google|header:[A-Za-z0-9-]+)$")]
Prefill = Literal["none", "plain", "continue_final_message", "prefix", "partial"]
Thought = Literal["reasoning_content", "reasoning", "reasoning_details"]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One upstream's ways. Every default is what api.openai.com does. A table may begin with `like = "…"`, the name
    of a row above it: then it says only what is different, and its sub-tables add to that row's.

    Who it is
    `dialect`: the language. `base_url`: where it is, unless the operator says otherwise (None: only he can say).
    `env`: the environment variables that may hold its key; the first one that is set makes its models available.
    `auth`: how the key is shown: "bearer", "header:NAME", "sigv4", "google" or "none". `path`: what follows the
    base URL; `{model}` stands for the model's name.

    What it takes
    `extra`: the parameters beyond the API's own, or "any" where its own validation decides. `ranges`: what they may
    be, where a value could do harm. `ours`: what
    riverrun does itself and never passes on. `refused`: what changes the meaning and can't be said there (400).
    `dropped`: hints that it does not know. `rename`: a parameter's name there; where both names are given the left
    one wins. `constants`: sent with every request. `effort`: what a `reasoning_effort` becomes; without the table
    it is passed on, with it an effort that is not in it is a dropped hint. `roles`: its names of the roles.
    `n`: "fan-out" where it gives one choice a call. `usage`: "always" where it counts unasked and would refuse
    `stream_options`. `seed`: "uint32" folds the 64-bit seed and avoids the number that means random.
    `seeded`: sent beside the constants where the caller gave a seed, for an answer that comes out the same each time.
    `clamped`: numbers that it would misread above the target's context. `longest_token`: no token has more bytes, so
    that a hopeless prompt is refused at once; 0 where that is not known.
    `draw_seed`: a request without a seed gets one, because the same seed gives the same answer there.
    `parts`: "target" lets only the target's modalities through, as data and not as URLs. `tool_choice`: "words" for
    none, auto and required alone, "auto" where a call can't be asked for. `functions`: knows the deprecated
    functions and function_call. `schemas`: "checked" refuses what its grammar can't hold to. `least_top_logprobs`:
    the fewest that give logprobs at all.
    `thoughts`: the fields of an assistant message in which it takes its thoughts back; a text goes into the first
    of `reasoning_content` and `reasoning` that is named, what is not named is left out, and without the list all of
    it travels as it was sent. (Answers are read from any of these fields, whoever sends them.)

    How it goes on with an answer that broke off
    `prefill`: by patterns of model names, the first that fits: how it is given the start of its own answer. "plain":
    a last assistant message is gone on with as it is; the others name what marks that message or the request; "none",
    and no pattern: it can't. `prefill_structured`: also under a response_format or a forced call. `echoes_prefill`:
    its answer begins with the words that it was given. `deterministic`: the same request and seed, the same answer.
    `resumes`: it may itself be a riverrun, so that a call says that it would come back, and does after a cut. `like`
    does not take it over: what one address is says nothing of another.

    How it answers
    `model`, `fingerprint`: whose word stands in the answer. `finish`: "implied" where [DONE] alone ends a choice.
    `logprobs`: "unspoken" where it lists tokens that are not in the text: a fence around JSON, a thought.
    `finish_reasons`: its own words for the API's reasons; "error" is a failure.
    """

    dialect: str = "openai"
    base_url: str | None = None
    env: tuple[str, ...] = ()
    auth: Auth = "bearer"
    path: str = "/chat/completions"

    extra: Literal["any"] | tuple[str, ...] = ()
    ranges: dict[str, Range] = {}
    ours: tuple[str, ...] = ("stream", "stream_options", "n")
    refused: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    constants: JsonObject = {}
    seeded: JsonObject = {}
    clamped: tuple[str, ...] = ()
    longest_token: int = 0
    effort: dict[str, JsonObject] | None = None
    roles: dict[str, str] = {}
    n: Literal["native", "fan-out"] = "native"
    usage: Literal["asked", "always"] = "asked"
    seed: Literal["int64", "uint32"] = "int64"
    draw_seed: bool = False
    parts: Literal["any", "target"] = "any"
    tool_choice: Literal["any", "words", "auto"] = "any"
    functions: bool = True
    schemas: Literal["any", "checked"] = "any"
    least_top_logprobs: int = 0
    thoughts: tuple[Thought, ...] | None = None

    prefill: dict[str, Prefill] = {}
    prefill_structured: bool = False
    echoes_prefill: bool = False
    deterministic: bool = False
    resumes: bool = False

    model: Literal["reported", "target"] = "reported"
    fingerprint: Literal["reported", "target"] = "reported"
    finish: Literal["required", "implied"] = "required"
    logprobs: Literal["spoken", "unspoken"] = "spoken"
    finish_reasons: dict[str, FinishReason | Literal["error"]] = {}

    def prefill_of(self, model: str) -> Prefill:
        """How this model is given the start of its own answer."""
        return next((way for pattern, way in self.prefill.items() if fnmatchcase(model, pattern)), "none")


def parse_rows(text: str) -> dict[str, Row]:
    """The rows of a TOML text, by name.

    Raises msgspec.ValidationError for a field that no row has, ValueError where `like` names no row above.
    """
    rows: dict[str, Row] = {}
    for name, table in tomllib.loads(text).items():
        like = table.pop("like", None)
        if like is not None and like not in rows:
            raise ValueError(f"the row {name!r} is like {like!r}, which does not stand above it")
        above = msgspec.structs.replace(rows[like], resumes=False) if like is not None else Row()
        rows[name] = derived(above, table)
    return rows


def derived(row: Row, changes: Mapping[str, object]) -> Row:
    """`row` with these fields changed; a table among them adds to the row's own. Raises msgspec.ValidationError."""
    fields = msgspec.to_builtins(row)
    for name, value in changes.items():
        before = fields.get(name)
        fields[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return msgspec.convert(fields, Row)


ROWS = parse_rows(files(__package__).joinpath("upstreams.toml").read_text(encoding="utf-8"))
