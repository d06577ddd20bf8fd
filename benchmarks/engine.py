"""What riverrun costs in front of its own engine: tokens per second and time to first token, direct and through it.

One `riverrun serve` and its one engine process answer both sides, in interleaved pairs, so that threads, caches and the
machine's noise are shared. Exit code 1 if a bound is missed, 2 if nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.streams import NoAnswer, Round, Side, ask
from riverrun.engine.cores import engine_threads
from tests.servers import Served, serving

MODEL = "smollm2-135m"
STREAMS = (1, 4)
LEAST_RATIO = 0.95
MOST_DELAY = 0.005
"""Bounds on the medians: of the engine's own tokens per second, and of seconds added to the first token."""
WARMING = 8
"""Tokens that are asked for before a pair: enough that one of them is text."""
TOPICS = ("a lighthouse", "the first bridge", "an old map", "a slow train")


@dataclass(frozen=True)
class Pair:
    """The same prompts asked directly and through riverrun, one right after the other."""

    streams: int
    direct_first: bool
    direct: Round
    through: Round

    @property
    def ratio(self) -> float:
        return self.through.speed / self.direct.speed

    @property
    def delay(self) -> float:
        return self.through.first_token - self.direct.first_token


ROWS: tuple[tuple[str, str, Callable[[Pair], float]], ...] = (
    ("tokens/s, direct", "{:.1f}", lambda pair: pair.direct.speed),
    ("tokens/s, through riverrun", "{:.1f}", lambda pair: pair.through.speed),
    ("ratio", "{:.3f}", lambda pair: pair.ratio),
    ("first token ms, direct", "{:.2f}", lambda pair: pair.direct.first_token * 1000),
    ("first token ms, through riverrun", "{:.2f}", lambda pair: pair.through.first_token * 1000),
    ("difference ms", "{:+.2f}", lambda pair: pair.delay * 1000),
)


def main() -> int:
    options = _options()
    console = Console()
    facts = _facts(options)
    try:
        with serving(MODEL) as served:
            pairs = list(_pairs(served, options))
    except NoAnswer as error:
        print(f"benchmarks/engine: {error}", file=sys.stderr)
        return 2
    console.print(_table(pairs), *(f"{name}: {fact}" for name, fact in facts.items()), sep="\n", soft_wrap=True)
    if options.json:
        options.json.write_text(json.dumps({**facts, "pairs": [asdict(pair) for pair in pairs]}, indent=1) + "\n")
    missed = _missed(pairs)
    console.print(*missed or ["Every bound holds."], sep="\n", style="red" if missed else "green", soft_wrap=True)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/engine", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=9, help="for each number of streams (default: 9)")
    parser.add_argument("--tokens", type=int, default=128, help="of each answer, 2 or more (default: 128)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw figures there")
    options = parser.parse_args()
    if options.pairs < 1 or options.tokens < 2:
        parser.error("it takes at least 1 pair and 2 tokens")
    return options


def _pairs(served: Served, options: argparse.Namespace) -> Iterator[Pair]:
    """Every pair's prompts are asked once before, so both sides find them in the engine's prefix cache."""
    through = Side("riverrun", lambda: socket.create_connection(("127.0.0.1", served.port)))
    ask(through, [_body("Hello", WARMING)], WARMING)  # waits for the engine, which loads after the server listens
    direct = Side("the engine", _connect_to(_engine_socket(served.process.pid)))
    for number in range(options.pairs):
        for streams in STREAMS:
            prompts = [f"Tale {stream + 1} of pair {number + 1}, about {TOPICS[stream]}." for stream in range(streams)]
            ask(through, [_body(prompt, WARMING) for prompt in prompts], WARMING)
            bodies = [_body(prompt, options.tokens) for prompt in prompts]
            direct_first = number % 2 == 0
            order = (direct, through) if direct_first else (through, direct)
            rounds = {side.name: ask(side, bodies, options.tokens) for side in order}
            yield Pair(streams, direct_first, rounds[direct.name], rounds[through.name])


def _body(prompt: str, tokens: int) -> dict[str, object]:
    """Greedy, so that the tokens are the same. top_p is given because riverrun would fill in the catalogue's."""
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": prompt}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": tokens,
        "ignore_eos": True,
        "temperature": 0,
        "top_p": 0.95,
    }


def _engine_socket(server: int) -> str:
    """Where the engine of this server listens; raises NoAnswer.

    riverrun tells nobody, but the system knows: the engine is the server's one child, and of all its Unix sockets only
    the listening one, and what it accepted there, have a path.
    """
    children = psutil.Process(server).children()
    paths = {path for child in children for path in (each.laddr for each in child.net_connections("unix")) if path}
    if len(paths) != 1:
        raise NoAnswer(f"one engine socket was expected below process {server}, and there are {len(paths)}.")
    return str(paths.pop())


def _connect_to(path: str) -> Callable[[], socket.socket]:
    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        return connection

    return connect


def _table(pairs: Sequence[Pair]) -> Table:
    table = Table("streams", "figure", title="riverrun in front of its own engine")
    for name in ("median", "min", "max"):
        table.add_column(name, justify="right")
    for streams in STREAMS:
        table.add_section()
        for figure, form, value in ROWS:
            values = [value(pair) for pair in pairs if pair.streams == streams]
            table.add_row(str(streams), figure, *(form.format(take(values)) for take in (median, min, max)))
    return table


def _missed(pairs: Sequence[Pair]) -> list[str]:
    missed = []
    for streams in STREAMS:
        some = [pair for pair in pairs if pair.streams == streams]
        ratio, delay = median(pair.ratio for pair in some), median(pair.delay for pair in some)
        if ratio < LEAST_RATIO:
            missed.append(f"Missed at {streams} streams: ratio {ratio:.3f}, at least {LEAST_RATIO} is wanted.")
        if delay > MOST_DELAY:
            late, most = delay * 1000, MOST_DELAY * 1000
            missed.append(
                f"Missed at {streams} streams: first token {late:.2f} ms later, at most {most:.0f} is wanted."
            )
    return missed


def _facts(options: argparse.Namespace) -> dict[str, str]:
    cores, load = psutil.cpu_count(logical=False), os.getloadavg()[0]
    packages = ", ".join(f"{package} {version(package)}" for package in ("riverrun", "xllamacpp", "uvloop"))
    return {
        "versions": f"{packages}, Python {platform.python_version()}",
        "machine": f"{_processor()}, {cores} cores, {platform.system()} {platform.release()}, load before {load:.2f}",
        "run": f"{MODEL}, {options.pairs} pairs, {options.tokens} tokens, engine threads {engine_threads()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    named = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


if __name__ == "__main__":
    sys.exit(main())
