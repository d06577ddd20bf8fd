"""One TOML file to one frozen Config: every default, and its reason.

Knows names, types and ranges of settings; refuses to know what they are used for. Sources, later ones first:
command line, environment (RIVERRUN_API_KEY), `riverrun.toml`, the defaults here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from riverrun.failures import Cause, Failure

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[server]`: where it listens and what it lets in. Sizes are in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    api_keys: tuple[Annotated[str, Meta(min_length=16)], ...] = ()
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
    commit_after: Seconds = 10.0
    """A stream without content answers 200 after so long and sends heartbeats, so that no balancer cuts it."""
    heartbeat: Seconds = 10.0
    """Of silence before a comment is sent; the shortest idle time-out of common balancers is 30 s or more."""
    drain: Seconds = 30.0
    """How long running streams may go on after SIGTERM; container platforms kill after 30 s by default."""


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[engine]`: the models that run on this machine. None means: chosen from the machine or the model."""

    models: tuple[str, ...] = ("smollm2-135m",)
    """Catalogue names or paths of GGUF files; the first one answers when a client names none that we know."""
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


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    server: ServerConfig = ServerConfig()
    engine: EngineConfig = EngineConfig()
    log: LogConfig = LogConfig()


def read(path: Path | None, overrides: Mapping[str, Mapping[str, object]], environ: Mapping[str, str]) -> Config:
    """The configuration. `overrides` are the command line's, by section; None values there are not given.

    Raises Failure with the file and the place in it.
    """
    sections: dict[str, dict[str, object]] = _file(path) if path is not None else {}
    if environ.get("RIVERRUN_API_KEY"):
        sections.setdefault("server", {})["api_keys"] = [environ["RIVERRUN_API_KEY"]]
    for section, values in overrides.items():
        given = {name: value for name, value in values.items() if value is not None}
        sections.setdefault(section, {}).update(given)
    try:
        return msgspec.convert(sections, Config)
    except msgspec.ValidationError as error:
        raise Failure(Cause.BAD_REQUEST, f"The configuration {_where(path)} is not valid: {error}.") from None


def _file(path: Path) -> dict[str, dict[str, object]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(Cause.BAD_REQUEST, f"The configuration file {path} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Failure(Cause.BAD_REQUEST, f"The configuration file {path} is not TOML: {error}.") from None


def _where(path: Path | None) -> str:
    return f"in {path}, the environment or the command line" if path else "in the environment or the command line"
