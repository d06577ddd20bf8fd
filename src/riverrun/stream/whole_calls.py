"""Tool calls held back until they are complete, for models that ask for it (`tool_calls = "whole"`).

A client then never sees the beginning of a call whose rest is lost: a cut inside its arguments is a plain retry.
"""

from __future__ import annotations

from riverrun.stream.deltas import Delta, Finish, ToolArgs, ToolOpen


class WholeCalls:
    """Holds the calls of a choice until the choice finishes: only then is the last one known to be complete."""

    def __init__(self) -> None:
        self._held: dict[int, list[Delta]] = {}  # by choice

    def passed(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas that may go on; everything but calls as it comes."""
        passed: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, ToolOpen | ToolArgs):
                self._held.setdefault(delta.choice, []).append(delta)
                continue
            if isinstance(delta, Finish):
                passed += self._held.pop(delta.choice, [])
            passed.append(delta)
        return passed
