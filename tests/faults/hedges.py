"""Hedged requests: how two upstreams race, and what must come of it. Data.

The second target is asked when the first has said nothing for HEDGE_AFTER seconds; the first word wins, the other call
is cancelled. `Must.calls` are the upstream calls in the order in which they went out, and how the ledger has each.
"""

from __future__ import annotations

from typing import NamedTuple

from riverrun.failures import Cause
from tests.faults.recipes import EVENTS, OVERLOAD, TWO, bare, raw, refused, said, well
from tests.faults.scene import Answer, Mending
from tests.faults.speech import OPENER
from tests.upstreams import head, sse

HEDGE_AFTER = 2.0


class Race(NamedTuple):
    """`sides` answer as they are; `calls` are (target, ending in the ledger); `left`: connections that were closed on
    each side because their answer was not wanted. `told`: the attempts in the client's error, none for a whole answer.
    """

    name: str
    sides: tuple[Answer, ...]
    calls: tuple[tuple[str, str], ...]
    left: tuple[int, ...]
    told: tuple[tuple[str, str], ...] = ()
    mended: Mending = Mending(HEDGE_AFTER)
    retries: int = 0


def later(seconds: float) -> Answer:
    """An opener at once, which says nothing, and the first word after so many seconds."""
    return raw(EVENTS[0], seconds, *EVENTS[1:])


SILENT = bare(head(), end="stall")
DOWN = refused("503 Unavailable")
DOWN_LATER = bare(3.0, head("503 Unavailable", "application/json", "content-length: 0"), end="keep")
BROKEN_OFF = said(OPENER, *TWO, whole=False, end="reset")
FIRST, SECOND, THIRD = "target-1", "target-2", "target-3"

RACES = [
    Race("nobody is asked beside one that answers in time", (later(1.0), well), ((FIRST, "finished"),), (0, 0)),
    Race(
        "the first is slow, and the second wins",
        (later(20.0), well),
        ((FIRST, "cancelled"), (SECOND, "finished")),
        (1, 0),
    ),
    Race(
        "the first wins after all",
        (later(10.0), SILENT),
        ((FIRST, "finished"), (SECOND, "cancelled")),
        (0, 1),
    ),
    Race(
        "the hedge fails first, and the first one answers",
        (later(10.0), DOWN),
        ((FIRST, "finished"), (SECOND, "upstream_error")),
        (0, 0),
    ),
    Race(
        "the first fails while the hedge runs, which answers",
        (DOWN_LATER, later(10.0)),
        ((FIRST, "upstream_error"), (SECOND, "finished")),
        (0, 0),
    ),
    Race(
        "both are silent for ever",
        (SILENT, SILENT),
        ((FIRST, "upstream_timeout"), (SECOND, "upstream_timeout")),
        (1, 1),
        ((FIRST, "upstream_timeout"), (SECOND, "upstream_timeout")),
    ),
    Race(
        "the hedge fails, and the first one stays silent",
        (SILENT, DOWN),
        ((FIRST, "upstream_timeout"), (SECOND, "upstream_error")),
        (1, 0),
        ((SECOND, "upstream_error"), (FIRST, "upstream_timeout")),
    ),
    Race(
        "the hedge wins and breaks off, and nobody can go on",
        (later(20.0), BROKEN_OFF),
        ((FIRST, "cancelled"), (SECOND, "upstream_interrupted")),
        (1, 0),
        ((FIRST, "hedge_lost"), (SECOND, "upstream_interrupted")),
    ),
    Race(
        "the hedge wins with an error inside its stream",
        (later(20.0), raw(*EVENTS[:3], sse(OVERLOAD), whole=False, end="stall")),
        ((FIRST, "cancelled"), (SECOND, "upstream_error")),
        (1, 1),
        ((FIRST, "hedge_lost"), (SECOND, "upstream_error")),
    ),
    Race(
        "the hedge failed of what has a fallback, and then the first of what has none",
        (SILENT, DOWN, well),
        ((FIRST, "upstream_timeout"), (SECOND, "upstream_error"), (THIRD, "finished")),
        (1, 0, 0),
        mended=Mending(HEDGE_AFTER, last_for=(Cause.UPSTREAM_ERROR,)),
    ),
]
