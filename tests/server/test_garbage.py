"""A process that serves: what was there at its start is left alone, and cycles that come later are still found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

CYCLES = """
import gc
from riverrun.server.garbage import look_seldom

look_seldom()
assert gc.get_freeze_count() > 1000
full = []
gc.callbacks.append(lambda phase, info: full.append(1) if (phase, info["generation"]) == ("stop", 2) else None)


class Node:
    alive = most = 0

    def __init__(self):
        self.me = self
        Node.alive += 1
        Node.most = max(Node.most, Node.alive)

    def __del__(self):
        Node.alive -= 1


kept = [[] for _ in range(50_000)]  # as tapes are
for _ in range(200_000):
    Node()
assert not full and Node.most < 5000, (full, Node.most)

old = []
for _ in range(1_500_000):  # what grew old before it became garbage waits for a full look
    old.append(Node())
    if len(old) == 20_000:
        old.clear()
assert full and Node.most < 1_000_000, (full, Node.most)
"""


def test_cycles_are_found_and_the_start_is_left_alone() -> None:
    """In a process of its own: the policy is for all of a process."""
    command = [sys.executable, "-c", CYCLES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
