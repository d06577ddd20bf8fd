"""The bounds that all tapes of a process share."""

from __future__ import annotations

from pathlib import Path

import pytest

from riverrun.failures import Failure
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.room import Room
from tests.tapes.test_spill import size_of


def frame(number: int) -> bytes:
    return b"id: %d\ndata: " % number + b"x" * 1000 + b"\n\n"


def test_any_number_of_tapes_spill_into_one_file_that_goes_with_them(tmp_path: Path) -> None:
    room = Room(2000, 2**20, str(tmp_path))
    tapes: list[Blocks] = []
    for _ in range(300):
        tapes.append(room.blocks())
        for number in (1, 2):
            tapes[-1].add(frame(number), number)
    assert room.used <= 2000
    assert size_of(tmp_path) == [room.spilled]
    assert all(tape.after(1) == (frame(2), 2) for tape in tapes)
    for tape in tapes[:-10]:
        room.free(tape)
    for _ in tapes[:-10]:
        again = room.blocks()
        again.add(frame(1), 1)
        tapes.append(again)
    assert size_of(tmp_path)[0] <= 600 * len(frame(1))
    assert all(not tape.dropped and tape.payloads()[0] == b"x" * 1000 for tape in tapes[-300:])
    for tape in tapes:
        room.free(tape)
    assert (room.used, room.spilled, room.tapes, size_of(tmp_path)) == (0, 0, 0, [])


def test_requests_count_and_cannot_be_spilled(tmp_path: Path) -> None:
    room = Room(10_000, 2**20, str(tmp_path))
    live = room.blocks()
    live.hold(7000)
    live.add(frame(1), 1)
    room.admit()
    other = room.blocks()
    other.hold(2000)
    assert (room.used, room.held, room.spilled) == (9000, 9000, len(frame(1)))
    with pytest.raises(Failure) as raised:
        room.admit()
    assert raised.value.status == 503
    room.free(other)
    room.free(other)
    room.admit()
    room.free(live)
    assert (room.used, room.held, room.spilled) == (0, 0, 0)
