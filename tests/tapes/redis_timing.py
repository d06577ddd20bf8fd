"""Redis tapes as tests have them: everything takes a tenth of the time."""

from __future__ import annotations

import time
from random import Random

from riverrun.tapes.redis_link import Timing
from riverrun.tapes.redis_tapes import RedisTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room

QUICK = Timing(lease=1.0, answer=1.0, patience=1.0, linger=0.001)


def tapes_at(
    url: str, retention: Retention | None = None, timing: Timing = QUICK, largest: int | None = None
) -> RedisTapes:
    return RedisTapes(url, Room(2**26, 2**26), retention or Retention(), Random(), time.time, largest, timing)
