"""Plays one seed and tells everything, or many and tells what is wrong."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.checks import broken
from tests.simulation.plan import drawn
from tests.simulation.world import Played, played


def report(world: Played) -> str:
    """A world for a person: what was to happen, what happened, and what is wrong."""
    wrong = broken(world)
    drawn_as = [f"  {name}: {value}" for name, value in world.plan._asdict().items()]
    return "\n".join([f"seed {world.plan.seed}", *drawn_as, *world.trace, *(f"WRONG: {each}" for each in wrong)])


def tried(seed: int) -> str | None:
    """The report of a seed in which something is wrong."""
    try:
        world = played(drawn(seed))
    except Exception as error:
        raise RuntimeError(f"seed {seed} can't be played: {drawn(seed)}") from error
    return report(world) if broken(world) else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="the world to play, and to tell of")
    parser.add_argument("--seeds", type=int, default=1000, help="how many, where none is named (default: 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them (default: 0)")
    asked = parser.parse_args()
    if asked.seed is not None:
        world = played(drawn(asked.seed))
        print(report(world))
        return bool(broken(world))
    began, wrong = time.monotonic(), 0
    for seed in range(asked.first, asked.first + asked.seeds):
        told = tried(seed)
        if told is not None:
            wrong += 1
            print(told, end="\n\n")
    spent = time.monotonic() - began
    print(f"{asked.seeds} seeds in {spent:.0f} s, {asked.seeds / spent:.1f} a second; something is wrong in {wrong}")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
