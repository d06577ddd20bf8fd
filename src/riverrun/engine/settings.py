"""What the parent tells its engine process and what it hears back: one JSON line each way."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

DEFAULT_CONTEXT = 8192
"""Tokens per slot where nobody says anything, and where the model was not made for less."""


class ChildSettings(msgspec.Struct, frozen=True):
    """How to run one model. None is chosen by the child, from the model or the machine.

    `folder` is private to this child (0700); with transport "loopback" it stays unused and a random key guards the
    port. `context` is in tokens per slot.
    """

    name: str
    model: str
    folder: str
    transport: Literal["unix", "loopback"] = "unix"
    context: int | None = None
    slots: int = 4
    threads: int | None = None
    gpu_layers: int | None = None
    batch: int | None = None


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The engine answers at `base_url`. The rest is what this model can do, and who it is."""

    base_url: str
    key: str | None
    slots: int
    context: int
    vocabulary: int
    tools: bool
    modalities: tuple[str, ...]
    fingerprint: str


Why = Literal["model", "engine", "resources", "died"]


class NotReady(msgspec.Struct, frozen=True, tag="failed"):
    """The model can't run.

    `why`: the file (or the installation) is no good, the engine refused it, memory or another resource was short, or
    the process died before it said anything.
    """

    message: str
    why: Why = "model"


Report = Ready | NotReady


def fingerprint(engine: str, sha256: str, quantisation: str, template: str, dialect: str = "openai") -> str:
    """Names what produces the tokens: equal prints and equal seeds give equal answers."""
    facts = msgspec.json.encode([engine, sha256, quantisation, template, dialect])
    return "fp_" + hashlib.sha256(facts).hexdigest()[:10]
