"""`[upstream.NAME]` and `[[model]]`: who can answer, and for which names.

Knows what may be written; which languages and providers there are is the dialects' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from riverrun.config.values import CONTROLS, Duration, Secret
from riverrun.failures import Cause

ModelName = Annotated[str, Meta(min_length=1, max_length=256)]
UpstreamName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class DeadlinesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is not given is as usual: 5 s, 30 s, 15 s and 10 min, or 5 s, 5 min, 2 min and 30 min where it thinks."""

    connect: Duration | None = None
    """Until the connection stands."""
    first_token: Duration | None = None
    """Until the first words, thoughts or calls; a target silent for longer is left, and not asked again."""
    idle: Duration | None = None
    """Between bytes of any kind after that."""
    total: Duration | None = None
    """For the whole answer."""


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[upstream.NAME]`: one place that answers. What it leaves out is as the row that it is like has it."""

    like: str | None = None
    """The row of dialects/upstreams.toml whose ways it has ("vllm", "groq", "azure", …). Without it: the row of the
    upstream's own name, else "compatible" for the dialect openai, else the row of the dialect's name."""
    dialect: str | None = None
    """Its language: openai, responses, anthropic, gemini, bedrock, cohere or ollama."""
    base_url: str | None = None
    """http(s)://host[:port]/prefix, or unix:/path/of.sock:/prefix; riverrun appends what the language says."""
    key: Secret | None = None
    """Without it the environment variable that the row names, as long as the address is the row's own too."""
    auth: str | None = None
    """How the key is shown: "bearer", "header:NAME", "sigv4", "google" or "none"."""
    path: str | None = None
    """What follows the base URL; {model} stands for the model's name."""
    deadlines: DeadlinesConfig = DeadlinesConfig()
    thinks: bool = False
    """Its models think before they speak, so that the longer deadlines hold."""
    context: Annotated[int, Meta(ge=1)] | None = None
    """Tokens that fit; a target that is known to hold more gets the prompts that were too long for another."""
    tools: Literal["native", "schema"] | None = None
    """"schema": its models know no tools, so that a call is asked for as JSON of a schema."""
    n: Literal["native", "fan-out"] | None = None
    """"fan-out": each choice is a request of its own."""
    prefill: str | dict[str, str] | None = None
    """How an answer that broke off is gone on with: "none", "plain", "continue_final_message", "prefix" or
    "partial"; or a table of these by patterns of model names."""
    prefill_structured: bool | None = None
    """Also under a response_format or a forced call."""
    echoes_prefill: bool | None = None
    deterministic: bool | None = None
    """The same request and seed give the same answer, so that a broken one can be checked against a new one."""
    draw_seed: bool | None = None
    resumes: bool | None = None
    """It is a riverrun: a connection to it that breaks in mid-answer is resumed, byte for byte and paid once."""
    extra: str | tuple[str, ...] | None = None
    """The request fields beyond the API's own that it takes, or "any"."""
    refused: tuple[str, ...] | None = None
    dropped: tuple[str, ...] | None = None
    rename: dict[str, str] | None = None
    roles: dict[str, str] | None = None
    thoughts: tuple[str, ...] | None = None
    finish: Literal["required", "implied"] | None = None
    """"implied": [DONE] alone ends an answer, no finish_reason does."""


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `targets`: "UPSTREAM/MODEL", or a table of this. `local/NAME` is a model of this machine."""

    target: Annotated[str, Meta(pattern=r"^[^/]+/.+$")]
    weight: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    """Neighbours with a weight take turns as the first, in these proportions."""
    context: Annotated[int, Meta(ge=1)] | None = None
    same: str = ""
    """Targets of one label are the same model and go on with each other's answers; without it the model's name."""
    thinks: bool | None = None
    """Whether this one thinks, whatever holds for its upstream; None: as that says."""
    deadlines: DeadlinesConfig = DeadlinesConfig()

    @property
    def upstream(self) -> str:
        return self.target.partition("/")[0]

    @property
    def model(self) -> str:
        """The name that the upstream knows."""
        return self.target.partition("/")[2]


Targets = Annotated[tuple[str | TargetConfig, ...], Meta(min_length=1)]


class FallbacksConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`fallbacks`: by a cause's name, who is asked next after a failure of that cause, in place of the other targets.

    Here are the causes that else go nowhere, or that another order suits better. Each target is asked once, in order.
    """

    context_too_long: Targets = ()
    """Taken at the operator's word: also where nobody says that their windows are larger."""
    content_policy: Targets = ()
    upstream_busy: Targets = ()
    upstream_timeout: Targets = ()

    @property
    def named(self) -> Mapping[Cause, tuple[TargetConfig, ...]]:
        """The causes that were written, each with its targets in full."""
        written: dict[str, tuple[str | TargetConfig, ...]] = msgspec.structs.asdict(self)
        return {Cause[name.upper()]: _in_full(targets) for name, targets in written.items() if targets}


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[[model]]`: a name that clients ask for, and who answers."""

    name: ModelName
    """One `*` in it stands for anything, and for the same in the targets."""
    targets: Targets
    """In the order in which they are asked."""
    aliases: tuple[ModelName, ...] = ()
    default: bool = False
    """Answers for every name that nothing else answers for."""
    retries: Annotated[int, Meta(ge=0, le=10)] = 1
    """How often one target is asked again where nothing came back."""
    continues: Literal["same-model", "any", "never"] = msgspec.field(default="same-model", name="continue")
    """Who may go on with an answer that broke off: targets of the same model, any one, or nobody."""
    hedge_after: Duration | None = None
    """Without a word for so long the next target is asked as well, and the first one to speak wins."""
    tool_calls: Literal["stream", "whole"] = "stream"
    """"whole": a tool call is passed on once it is complete."""
    fallbacks: FallbacksConfig = FallbacksConfig()
    """Who is asked instead of the other targets, by the cause of a failure before any content."""

    def __post_init__(self) -> None:
        """Names end up in headers, paths and logs, where control characters and line ends do harm (SEC9)."""
        for name in (*self.names, *(target.target for target in self.reached)):
            if CONTROLS.search(name):
                raise ValueError(f"{name!r} holds a control character; names have none")

    @property
    def tried(self) -> tuple[TargetConfig, ...]:
        """The targets, each one in full."""
        return _in_full(self.targets)

    @property
    def reached(self) -> tuple[TargetConfig, ...]:
        """Everyone who may come to answer: the targets, then the fallbacks."""
        return (*self.tried, *(target for targets in self.fallbacks.named.values() for target in targets))

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


def _in_full(targets: tuple[str | TargetConfig, ...]) -> tuple[TargetConfig, ...]:
    return tuple(TargetConfig(each) if isinstance(each, str) else each for each in targets)
