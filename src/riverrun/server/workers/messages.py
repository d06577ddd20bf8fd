"""What a parent and its workers say to each other: one JSON line each, over a socket pair that nobody else has.

The configuration travels here with its keys in plain, and nowhere else: not in arguments, the environment or a file.
"""

from __future__ import annotations

import msgspec

from riverrun.config import Config
from riverrun.config.values import decode, encode
from riverrun.engine.settings import Ready as EngineReady
from riverrun.failures import Told
from riverrun.server.status import Overview


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The first line to a worker. `sockets` are inherited descriptors, bound to `host` and `port`; `models` are the
    parent's, with their files; `environ` may hold keys; `started` is the server's start in Unix seconds.

    `lock` are inherited descriptors too: while anyone has them, the server's private `folder` stays."""

    number: int
    sockets: tuple[int, ...]
    host: str
    port: int
    config: Config
    models: dict[str, str]
    environ: dict[str, str]
    started: int
    folder: str
    lock: tuple[int, ...]


class Listening(msgspec.Struct, frozen=True, tag="listening"):
    """A worker takes requests."""


class Unable(msgspec.Struct, frozen=True, tag="unable"):
    """A worker can't start, or end in order, and why, in one line."""

    reason: str


class Judge(msgspec.Struct, frozen=True, tag="judge"):
    """A question: could this be taken over? Its answer is a Verdict."""

    config: Config


class Take(msgspec.Struct, frozen=True, tag="take"):
    """A question: what was judged last holds from now on. Its answer is a Verdict too."""


class Verdict(msgspec.Struct, frozen=True, tag="verdict"):
    """`refused`: why not."""

    refused: str | None = None


class Look(msgspec.Struct, frozen=True, tag="look"):
    """A question, whose answer is an Overview: a parent asks a worker for its part, a worker the parent for all."""


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End, after the running answers; `at_once`: without them."""

    at_once: bool = False


class Want(msgspec.Struct, frozen=True, tag="want"):
    """A worker waits for a slot of a local model. What becomes of it is told under the same `loan`."""

    loan: int
    model: str
    caller: str
    ask: str


class Lent(msgspec.Struct, frozen=True, tag="lent"):
    """The slot is the worker's until it gives it back."""

    loan: int
    ready: EngineReady


class Denied(msgspec.Struct, frozen=True, tag="denied"):
    """No slot, and the failure that the client is told."""

    loan: int
    failure: Told


class GiveBack(msgspec.Struct, frozen=True, tag="give-back"):
    """The slot is free, or is not waited for any more. `cut`: the answer was not complete."""

    loan: int
    cut: bool


class Doubt(msgspec.Struct, frozen=True, tag="doubt"):
    """A worker's connection to this model's engine broke."""

    model: str


Message = (
    Setup
    | Listening
    | Unable
    | Judge
    | Take
    | Verdict
    | Look
    | Overview
    | Stop
    | Want
    | Lent
    | Denied
    | GiveBack
    | Doubt
)


class Note(msgspec.Struct, frozen=True, array_like=True):
    """One line. A question has a number above 0, and its answer the same one; the rest is only told."""

    message: Message
    question: int = 0
    answer: int = 0


_encoder = msgspec.json.Encoder(enc_hook=encode)
_decoder = msgspec.json.Decoder(Note, dec_hook=decode)


def written(note: Note) -> bytes:
    """One line, with its end."""
    return _encoder.encode(note) + b"\n"


def read(line: bytes) -> Note:
    """Raises msgspec.ValidationError for what no version of us says."""
    return _decoder.decode(line)
