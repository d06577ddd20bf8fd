"""`[server]`, `[engine]` and `[log]`: the settings of the process itself."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from riverrun.config.values import ClientKey

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where it listens and what it lets in. Sizes are in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes that answer. One is enough for a few hundred streams; each more uses one more core, and all share one
    engine, so that local models are not faster by it."""
    api_keys: tuple[ClientKey, ...] = ()
    metrics_keys: tuple[ClientKey, ...] = ()
    """They open /metrics and nothing else. A server with other keys and none of these has no /metrics (SEC14)."""
    hosts: tuple[str, ...] = ()
    """Further names by which clients may call a server bound to loopback (SEC4)."""
    origins: tuple[str, ...] = ()
    """Browser origins that may read answers (SEC13)."""
    strict: bool = False
    """Refuse what can't be carried or isn't known, where the default is to name it in `x-riverrun-dropped` (B12)."""
    body_limit: Positive = 8 * 1024 * 1024
    max_n: Annotated[int, Meta(ge=1, le=128)] = 8
    """The API allows 128; each is a generation of its own, so a small server takes 8 (SEC11)."""
    header_seconds: Seconds = 10.0
    body_seconds: Seconds = 30.0
    blocked_seconds: Seconds = 30.0
    """A reader that takes nothing for so long is closed."""
    connections: Positive | None = None
    """In all; None: as many as the descriptor limit leaves room for."""
    connections_per_address: Positive = 256
    reasoning: Literal["reasoning_content", "reasoning", "both"] = "reasoning_content"
    """The field in which clients are given what a model thinks; they disagree about its name."""
    commit_after: Seconds = 10.0
    """A stream without content answers 200 after so long and sends heartbeats, so that no balancer cuts it."""
    heartbeat: Seconds = 10.0
    """Of silence before a comment is sent; the shortest idle time-out of common balancers is 30 s or more."""
    on_disconnect: Literal["cancel", "grace", "finish"] = "cancel"
    """What becomes of an answer when its last reader has left. A request that means to come back says so, and has
    `grace` (an Idempotency-Key, `store`, or the header x-riverrun-on-disconnect)."""
    grace: Seconds = 30.0
    """How long an answer waits for a reader to return."""
    join_retries: bool = False
    """A retry that an SDK makes by itself, without a key, joins the answer that its client lost."""
    drain: Seconds = 30.0
    """How long running streams may go on after SIGTERM; container platforms kill after 30 s by default."""


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[engine]`: the models that run on this machine. None means: chosen from the machine or the model."""

    models: tuple[str, ...] = ("smollm2-135m",)
    """Catalogue names or paths of GGUF files; the first one is loaded at the start. Empty: no local model at all."""
    context: Annotated[int, Meta(ge=256)] | None = None
    """Tokens per slot; None: 8,192, or what the model was made for if that is less."""
    slots: Annotated[int, Meta(ge=1, le=64)] = 4
    """Answers generated at once; each costs memory for its context."""
    threads: Positive | None = None
    """None: one fewer than the processor's cores, so that the server itself is never starved."""
    gpu_layers: Annotated[int, Meta(ge=0)] | None = None
    """None: as many as the engine finds room for; 0: none."""
    batch: Annotated[int, Meta(ge=16, le=8192)] | None = None
    """Prompt tokens worked on at once. None: 256 on CPU, where a larger one silences the other slots for seconds."""
    resident: Positive = 1
    """Models in memory at once; idle ones make room for another."""
    idle_stop: Seconds | None = None
    """An idle model leaves memory after so long; None: only to make room."""
    queue: Positive = 64
    wait: Seconds = 30.0
    """Requests that wait for a free slot, and how long; beyond either it is 503 with Retry-After."""


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[log]`: one line per request. Prompts and answers are never logged."""

    format: Literal["text", "json"] = "text"
    verbose: bool = False
    """Shows the engine's own log too."""
