"""What the parts beside the main table compare: languages, choices, tapes, workers, and sizes that grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.asking import KEY, Load, asking
from benchmarks.measures import ENDLESS, PACE, SMALL, answers, bursts, paced
from benchmarks.parts import Part, Trial, Way
from benchmarks.processes import Tree, free_port, running
from benchmarks.programs import installed
from benchmarks.riverrun_setting import DIALECTS, IN_DIALECTS
from benchmarks.samples import Sample

CHUNKS = 200
"""Of a burst."""
CONNECTIONS = 4
"""Of a load that answers as fast as it can, for each worker."""


def _usual(way: Way, who: str, seconds: float, model: str = "{script}") -> list[Trial]:
    """The three loads that say most. Each worker has the load of one: with less of it, fewer sockets would be ready at
    a time, and each turn of a loop would cost as much for less."""
    workers = way.workers or 1
    return [
        Trial("paced", way, who, paced(workers * SMALL, seconds, model), "chunks"),
        Trial("burst", way, who, bursts(CHUNKS, seconds, workers * CONNECTIONS, model), "chunks"),
        Trial("json", way, who, answers(seconds, workers * CONNECTIONS, model), "answers"),
    ]


def _by_measure(trials: Iterable[Trial]) -> list[Trial]:
    """So that those to be compared follow each other."""
    return sorted(trials, key=lambda trial: trial.measure)


def _dialects(seconds: float) -> list[Trial]:
    way = Way("dialects", IN_DIALECTS)
    every = [trial for dialect in DIALECTS for trial in _usual(way, dialect, seconds, f"{dialect}/{{script}}")]
    return _by_measure(every)


def _choices(seconds: float) -> list[Trial]:
    """As many chunks a second, each with one piece of one choice."""
    way, requests = Way("n"), SMALL // 4 * 4
    fast = f"-c {requests // 4} -r 0.5 -w 0.3 -d {seconds}"
    four: dict[str, object] = {"n": 4}
    return [
        Trial("paced", way, "n = 1", paced(requests, seconds), "chunks"),
        Trial("paced", way, "n = 4", Load(f"play-paced-{ENDLESS}-{PACE // 4}", fast, fields=four), "chunks"),
        Trial("burst", way, "n = 1", bursts(CHUNKS, seconds), "chunks"),
        Trial(
            "burst",
            way,
            "n = 4",
            Load(f"play-burst-{CHUNKS}", f"-c 4 -e {CHUNKS} -w 0.3 -d {seconds}", fields=four),
            "chunks",
        ),
    ]


TAPES = (
    Way("memory"),
    Way("file", '\n[tapes]\nurl = "file:{folder}/tapes"\n'),
    Way("redis", '\n[tapes]\nurl = "{redis}"\n'),
)


def _tapes(seconds: float) -> list[Trial]:
    return _by_measure(trial for way in TAPES for trial in _usual(way, way.name, seconds))


@contextmanager
def _redis(folder: Path) -> Iterator[dict[str, str]]:
    """Beside riverrun, on any core: what it costs is its own."""
    port = free_port()
    command = [installed("redis-server"), "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with running(command, port, folder / "redis.log", core=None):
        yield {"redis": f"redis://127.0.0.1:{port}/0"}


WORKERS = (Way("1 worker"), Way("1 worker, tapes in files", TAPES[1].more), Way("2 workers", workers=2))
SPREAD = 200
"""Connections that are shared out."""


def _workers(seconds: float) -> list[Trial]:
    return _by_measure(trial for way in WORKERS for trial in _usual(way, way.name, seconds))


def _shares(way: Way, tree: Tree) -> Iterator[Sample]:
    """The largest part of the connections that one worker has, in percent."""
    if not way.workers:
        return
    for repetition in range(3):
        with asking(Load("play-hold", f"-c {SPREAD} -o"), tree.port) as asked:
            asked.begun()
            counts = [_connections(pid, tree.port) for pid in tree.processes()]
        yield Sample("share", way.name, repetition, {"percent": 100 * max(counts) / max(1, sum(counts))})


def _connections(pid: int, port: int) -> int:
    known = psutil.Process(pid).net_connections("tcp")
    return sum(1 for each in known if each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port)


STREAMS = (1, 10, 100, 1_000, 5_000)
TOKENS = (10, 100, 1_000, 10_000, 100_000)
NAMES = (1, 10, 100, 1_000)
TOTAL = 1_000
"""Chunks a second, whatever the number of streams: so that streams are compared, and not load."""


def _growth(seconds: float) -> Sequence[Trial]:
    plain = Way("plain", "\n[tapes]\nstream_limit = 67108864\n")
    streams = [Trial("streams", plain, str(count), _slow(count, seconds), "chunks") for count in STREAMS]
    tokens = [
        Trial("tokens", plain, str(count), bursts(count, max(seconds, count / 50_000), 1), "chunks") for count in TOKENS
    ]
    names = [
        Trial("names", _named(count), str(count), answers(seconds, model=f"name-{count - 1}"), "answers")
        for count in NAMES
    ]
    return [*streams, *tokens, *names]


def _slow(streams: int, seconds: float) -> Load:
    pace = streams * 1_000_000 // TOTAL
    ramp = max(0.5, streams / 400)
    return Load(f"play-paced-{ENDLESS}-{pace}", f"-c {streams} -r {ramp} -w 0.5 -d {seconds}")


def _named(count: int) -> Way:
    """So many models, and so many tenants with a key each."""
    models = "".join(
        f'\n[[model]]\nname = "name-{number}"\ntargets = ["play/play-burst-1"]\n' for number in range(count)
    )
    tenants = "".join(
        f'\n[[tenant]]\nname = "tenant-{number}"\nkeys = ["{KEY if number == count - 1 else f"{KEY}-{number}"}"]\n'
        for number in range(count)
    )
    return Way(f"{count} names", models + tenants)


def _rest(way: Way, tree: Tree) -> Iterator[Sample]:
    if way.name.endswith(" names"):
        yield Sample("names", way.name.partition(" ")[0], 0, {"memory": float(tree.pss())})


PARTS = {
    "growth": Part("growth", _growth, beyond=_rest),
    "dialects": Part("dialects", _dialects),
    "n4": Part("choices", _choices),
    "tapes": Part("tapes", _tapes, around=_redis),
    "workers": Part("workers", _workers, beyond=_shares),
}
