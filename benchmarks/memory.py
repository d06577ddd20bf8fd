"""What somebody needs of memory: at rest, for each open stream that is silent, for each answer that it keeps."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmarks.asking import Load, asking
from benchmarks.processes import Tree

WARMING = 50
"""Answers before anything is counted, so that what is made once is there."""
KEPT_CHUNKS = 100
"""Of an answer that has ended, from which the memory of one that is kept is worked out."""
CALM = 0.5


def memory(tree: Tree, headers: Sequence[str], idle: int, kept: int) -> dict[str, float]:
    """Proportional set sizes in bytes: `rest`, `stream` (one of `idle` more), `kept` (one of so many ended answers)."""
    time.sleep(CALM)
    rest = tree.pss()
    _answered(tree, headers, WARMING, 1)
    warm = _calm(tree)
    with asking(Load("play-hold", f"-c {idle} -r 0.5 -o"), tree.port, headers) as asked:
        asked.begun()
        stream = (_calm(tree) - warm) / idle
    before = _calm(tree)
    _answered(tree, headers, kept, KEPT_CHUNKS)
    each = (_calm(tree) - before) / kept
    return {"rest": float(rest), "stream": stream, "kept": max(0.0, each)}


def _answered(tree: Tree, headers: Sequence[str], answers: int, chunks: int) -> None:
    """One at a time, so that what lies between two sockets is small."""
    with asking(Load(f"play-burst-{chunks}", f"-c 1 -n {answers} -e {chunks}"), tree.port, headers) as asked:
        asked.seen()


def _calm(tree: Tree) -> int:
    time.sleep(CALM)
    return tree.pss()
