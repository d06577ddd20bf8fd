"""What every kind of tapes does, wherever they are kept. A kind's tests subclass `TapesContract` and say how it is run.

Each scenario has two views of the same tapes: `here`, which owns what it creates, and `there`, another process's (for
tapes that nobody shares, the same one again).
"""

from __future__ import annotations

from tests.tapes.contract_keeping import KeepingContract
from tests.tapes.contract_reading import ReadingContract
from tests.tapes.setting import (
    DIGEST,
    KEY,
    OTHER_KEY,
    Nobody,
    Scenario,
    Setting,
    expected,
    opened,
    own,
    written,
)

__all__ = [
    "DIGEST",
    "KEY",
    "OTHER_KEY",
    "Nobody",
    "Scenario",
    "Setting",
    "TapesContract",
    "expected",
    "opened",
    "own",
    "written",
]


class TapesContract(ReadingContract, KeepingContract):
    """The scenarios. `run` runs one to its end, on a loop of the kind's choice."""
