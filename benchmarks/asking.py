"""The upstream and the load client (upstream.c, load.c) as Python sees them. Knows their options; refuses to know who
is asked.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

import msgspec

from benchmarks.processes import LOAD_CORE, Tree, pinned
from benchmarks.programs import compiled

PATIENCE = 120.0
"""Seconds after which a load is given up, as a rule."""
KEY = "sk-benchmark-0123456789-abcdefghijklmnop"
PROMPT = (
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "Hello there, please tell me about rivers."},
)


class NoFigures(Exception):
    """A load could not be carried: who was asked refused, broke off, or was silent."""


class Times(msgspec.Struct, frozen=True):
    """Microseconds."""

    count: int
    p50: int
    p99: int
    max: int


class Seen(msgspec.Struct, frozen=True):
    """What a load client saw in its window (load.c says what each is). `cpu` is its own, in seconds."""

    seconds: float
    cpu: float
    answers: int
    failed: int
    left: int
    chunks: int
    stalls: int
    first: Times
    way: Times
    gap: Times
    whole: Times
    failure: str


@dataclass(frozen=True)
class Load:
    """One load: `script` is a word of upstream.c; `options` are load.c's, in words."""

    script: str
    options: str
    stream: bool = True
    model: str = "{script}"
    fields: dict[str, object] = field(default_factory=dict)

    def body(self) -> str:
        """The request, spelled as the SDKs do."""
        model = self.model.format(script=self.script)
        asked = {"model": model, "messages": PROMPT, "temperature": 0.7, **self.fields}
        return json.dumps({**asked, "stream": True} if self.stream else asked, separators=(",", ":"))

    def command(self, port: int, headers: Sequence[str]) -> list[str]:
        """How load.c is called."""
        given = [word for header in (f"Authorization: Bearer {KEY}", *headers) for word in ("-H", header)]
        kind = ["-s"] if self.stream else []
        return [str(compiled("load")), "-p", str(port), "-b", self.body(), *given, *kind, *self.options.split()]


class Asking:
    """A load that runs: its window opens (`begun`) and closes (`seen`). Its connections are open until it is left."""

    def __init__(self, out: IO[str], load: Load) -> None:
        self._out = out
        self._load = load

    def begun(self) -> None:
        """Returns as the window opens. Raises NoFigures."""
        line = self._out.readline()
        if line != "begin\n":
            raise NoFigures(f"no load could be put on it: {line.strip() or 'the load client ended'}")

    def seen(self) -> Seen:
        """What came, as the window closes. Raises NoFigures where anything failed, unless failures are allowed (-f)."""
        line = self._out.readline()
        if not line:
            raise NoFigures("the load client ended without figures: nothing came for too long")
        seen = msgspec.json.decode(line, type=Seen)
        if seen.failed and "-f" not in self._load.options.split():
            raise NoFigures(f"{seen.failed} of {seen.failed + seen.answers} answers failed: {seen.failure}")
        return seen


@contextmanager
def asking(
    load: Load,
    port: int,
    headers: Sequence[str] = (),
    core: int | None = LOAD_CORE,
    patience: float = PATIENCE,
) -> Iterator[Asking]:
    """Puts a load on a port; it is ended in any case, and after `patience` seconds."""
    process = subprocess.Popen(
        pinned(load.command(port, headers), core), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(patience, process.kill)
    limit.start()
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Asking(process.stdout, load)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        limit.cancel()


@contextmanager
def upstream(core: int | None = LOAD_CORE) -> Iterator[Tree]:
    """The scripted upstream, on a port of its own."""
    process = subprocess.Popen(pinned([str(compiled("upstream")), "0"], core), stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield Tree(process.pid, int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
