"""Tapes in memory, with room enough, for tests that are not about them."""

from __future__ import annotations

from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room


def in_memory() -> MemoryTapes:
    return MemoryTapes(Room(2**28, 2**30), Retention())
