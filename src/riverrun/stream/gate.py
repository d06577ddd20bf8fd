"""The first-content gate: what an upstream says passes only once it says something.

Until then the upstream can fail and another one can be asked, and nobody has seen anything. Role openers, empty text,
white space, usage and pings say nothing; a finish does, because an empty answer is an answer.
"""

from __future__ import annotations

import msgspec

from riverrun.stream.deltas import Delta, Open, Reasoning, Refusal, Text, Usage

QUIET = frozenset({Open, Usage})


class Gate(msgspec.Struct, eq=False):
    """Holds the deltas of one upstream call back until one of them commits."""

    open: bool = False
    _held: list[Delta] = []

    def passed(self, deltas: list[Delta]) -> list[Delta]:
        """The deltas that may go on, with those that were held before them."""
        if self.open:
            return deltas
        self._held += deltas
        for delta in deltas:
            if commits(delta):
                self.open = True
                held, self._held = self._held, []
                return held
        return []


def commits(delta: Delta) -> bool:
    """Whether the delta says something of the answer."""
    if type(delta) in QUIET:
        return False
    if isinstance(delta, Text):
        # a letter or a digit says something: nothing has to be decoded then, as nearly always
        return delta.literal[1:2].isalnum() or bool(msgspec.json.decode(delta.literal, type=str).strip())
    if isinstance(delta, Reasoning | Refusal):
        return delta.literal != b'""'
    return True
