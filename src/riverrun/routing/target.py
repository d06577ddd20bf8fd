"""A target: one model at one upstream, and what is known about it. Rows of data, no behaviour."""

from __future__ import annotations

from typing import Literal

import msgspec


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds; None is off. `first_token` runs until the first delta with content, `idle` between reads after it."""

    connect: float | None = 5.0
    first_token: float | None = 30.0
    idle: float | None = 15.0
    total: float | None = 600.0


class Target(msgspec.Struct, frozen=True):
    """Where a branch goes.

    `base_url` is `http(s)://host[:port]/prefix`, or `unix:/path/of.sock:/prefix`; the dialect's path is appended.
    `model` is the name that the upstream knows, `name` what clients are shown. `row` names the dialect's data row.
    `auth` is how `key` is shown, as the row says: "bearer", "header:NAME", "sigv4", "google" or "none"; what a key may
    be, and where one is found if it is None, is told in `backends.credentials`.
    The rest is what this target can do: `tools` is "schema" where its chat template knows none, `context` in tokens,
    `vocabulary` the number of token ids (for `logit_bias`), `modalities` what a message may hold beside text.
    `sampling` holds the model's own defaults, sent where the caller gave none.
    `n`: "fan-out" where each choice takes a call of its own. How a broken answer goes on: `deterministic` targets say
    the same again with the same seed (`draw_seed` gives a request without one a seed), `prefill` ones go on with an
    assistant's words (`prefill_structured`: also in JSON; `echoes_prefill`: and say them again first); targets of one
    `same` label stand in for each other.
    `resumes`: it may be a riverrun, whose streams outlive their connections.
    `watched`: its process is our own and restarted by us, so that failures of its requests say nothing of its health.
    `thinking` are the deadlines of a request that asks it to think (None: the same). A target is shown without its
    key (SEC7).
    """

    name: str
    model: str
    base_url: str
    row: str
    dialect: str = "openai"
    key: str | None = None
    auth: str = "bearer"
    fingerprint: str | None = None
    deadlines: Deadlines = Deadlines()
    tools: Literal["native", "schema"] = "native"
    context: int | None = None
    vocabulary: int | None = None
    modalities: tuple[str, ...] = ("text",)
    sampling: tuple[tuple[str, float], ...] = ()
    n: Literal["native", "fan-out"] = "native"
    draw_seed: bool = False
    deterministic: bool = False
    prefill: bool = False
    prefill_structured: bool = False
    echoes_prefill: bool = False
    same: str = ""
    resumes: bool = False
    watched: bool = False
    thinking: Deadlines | None = None

    @property
    def label(self) -> str:
        """Which model it is, whoever serves it: the given label, or the name without organisation, in lower case."""
        return self.same or self.model.rpartition("/")[2].casefold()

    def __repr__(self) -> str:
        return f"Target(name={self.name!r}, row={self.row!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Like `__repr__`: a key has no text, in no log and no traceback (SEC7)."""
        return [("name", self.name), ("row", self.row)]
