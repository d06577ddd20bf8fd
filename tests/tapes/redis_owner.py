"""A process that owns tapes in Redis, for tests that kill it or stop it: `python -m tests.tapes.redis_owner URL COUNT`.

It appends to COUNT tapes without end and prints what a follower of each was given: `TAPE NUMBER PAYLOAD`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from random import Random

from riverrun.failures import Failure
from riverrun.stream.flow import Cancelled, Ending
from riverrun.tapes.contract import Head, OwnTape, Signal, Taken
from riverrun.tapes.redis_tapes import RedisTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests.tapes.redis_timing import QUICK

GAP = 0.003
"""Seconds between two events of a tape."""


class Printer:
    """Says what it is given, at once."""

    def __init__(self, tape: OwnTape) -> None:
        self._tape = tape

    def frames(self, block: bytes, last: int) -> bool:
        for event in block.decode().split("\n\n")[:-1]:
            number, payload = event.removeprefix("id: ").split("\ndata: ")
            print(self._tape.head.id, number, payload, flush=True)
        return True

    def ended(self, ending: Ending) -> None:
        print(self._tape.head.id, "ended", type(ending).__name__, flush=True)

    def broke(self, failure: Failure) -> None:
        print(self._tape.head.id, "broke", failure.code, flush=True)


async def write(tapes: RedisTapes, id: str, random: Random) -> None:
    heard: list[Signal] = []
    tape = await tapes.create(Head(id, 7, "acme"), heard.append)
    assert not isinstance(tape, Taken)
    tape.follow(0, Printer(tape)).more()
    while "broken" not in heard:
        tape.append([b'{"n":%d,"by":"owner"}' % (tape.written + 1)])
        await asyncio.sleep(GAP * random.random() * 2)
    tape.close(Cancelled(), None)


async def main(url: str, count: int) -> None:
    random = Random()
    tapes = RedisTapes(url, Room(2**26, 2**26), Retention(), random, time.time, None, QUICK)
    await asyncio.gather(*(write(tapes, f"chatcmpl-{number}", random) for number in range(count)))
    await tapes.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
