"""A process of its own with file tapes: `python -m tests.tapes.worker VERB ROOT SOCKETS`. It says what it did."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from random import SystemRandom

from riverrun.tapes.contract import OwnTape, Taken
from riverrun.tapes.file import FileTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests.tapes.contract import Nobody
from tests.tapes.files import Adopting
from tests.tapes.reader import Ears, head

TAPES = 20
KEYS = 200


def file_tapes(root: Path, sockets: Path) -> FileTapes:
    room = Room(64_000_000, 64_000_000)
    return FileTapes(root, room, Retention(), SystemRandom(), time.time, sockets=sockets)


def payload(id: str, number: int) -> bytes:
    """What event `number` of this tape says: of many lengths, and unlike every other."""
    return b'{"tape":"%b","number":%d,"text":"%b"}' % (id.encode(), number, b"x" * (number * 37 % 300))


async def write(tapes: FileTapes) -> None:
    """Appends to many tapes until it is killed."""
    await tapes.open_for(Nobody())
    own = [await tapes.create(head(f"t{number}"), Ears()) for number in range(TAPES)]
    say("ready")
    await append([tape for tape in own if not isinstance(tape, Taken)])


async def go_on(tapes: FileTapes) -> None:
    """Takes over what the dead left, and appends to it until it is killed."""
    adopting = Adopting()
    say("ready")
    await tapes.open_for(adopting)
    await append(list(adopting.tapes.values()))


async def append(own: list[OwnTape]) -> None:
    while True:
        for tape in own:
            first = tape.written + 1
            tape.append([payload(tape.head.id, first), payload(tape.head.id, first + 1)])
        await asyncio.sleep(0.0005)


async def race(tapes: FileTapes) -> None:
    """Claims many keys, from a line on; says of each which tape has it."""
    await tapes.open_for(Nobody())
    say("ready")
    sys.stdin.readline()
    mine = SystemRandom().randbytes(8).hex()
    for number in range(KEYS):
        made = await tapes.create(head(f"{mine}-{number}", key=f"{number:064x}"), Ears())
        say(made.id if isinstance(made, Taken) else made.head.id)
    sys.stdin.readline()


def say(word: str) -> None:
    print(word, flush=True)


async def main(verb: str, root: str, sockets: str) -> None:
    tapes = file_tapes(Path(root), Path(sockets))
    await {"write": write, "go_on": go_on, "race": race}[verb](tapes)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
