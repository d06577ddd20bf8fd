"""`riverrun serve` in front of a scripted upstream, for tests that try the clients against the real thing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import upstreams
from tests.client.network import Background
from tests.client.stand_in import payloads
from tests.servers import Served, serving
from tests.upstreams import LAST_CHUNK, Play, Request, Step, Upstream, chunk, head, play, sse

MODEL = "m"
NAME_IN_DOCS = "smollm2-135m"
CONFIGURATION = f"""
[upstream.a]
base_url = "%s"
[[model]]
name = "{MODEL}"
aliases = ["{NAME_IN_DOCS}"]
targets = ["a/q"]
[tapes]
url = "%s"
[engine]
models = []
"""
PACE = 0.002
"""Seconds between two words: the stream still runs while it is being cut."""


class Speaker(Upstream):
    """Says the same words to everyone; waits for `half` in the middle, if there is one."""

    def __init__(self, words: list[str], half: asyncio.Event | None = None) -> None:
        super().__init__(())
        self.words = words
        self.half = half

    def ask(self, request: Request) -> Play:
        self.requests.append(request)
        steps: list[Step] = [head()]
        for number, payload in enumerate(payloads(self.words)):
            steps += [chunk(sse(payload)), PACE]
            if self.half and number == len(self.words) // 2:
                steps.append(self.half)
        return play(*steps, LAST_CHUNK)


@contextmanager
def riverrun_before(speaker: Speaker, loop_thread: Background, folder: Path) -> Iterator[Served]:
    """One server, with its tapes in memory."""
    with loop_thread.entered(upstreams.serve(upstream=speaker)), replica(speaker, folder, "memory:") as served:
        yield served


@contextmanager
def replica(speaker: Speaker, folder: Path, tapes: str) -> Iterator[Served]:
    """One server; all with the same tapes are replicas of each other."""
    runtime = folder / "run"
    runtime.mkdir(parents=True)
    file = folder / "riverrun.toml"
    file.write_text(CONFIGURATION % (speaker.base_url, tapes))
    environ = {"RIVERRUN_MODELS": str(folder / "models"), "XDG_RUNTIME_DIR": str(runtime)}
    with serving("--config", str(file), environ=environ) as served:
        yield served
