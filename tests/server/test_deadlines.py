"""A deadline that is set, moved and cleared, on a loop whose clock is the test's."""

import asyncio

from riverrun.server.deadlines import Deadline


class Clock(asyncio.SelectorEventLoop):
    """Time passes only when nothing is left to do, and then it jumps to the next timer."""

    now = 0.0

    def time(self) -> float:
        return self.now


def fired(*moves: float | None, until: float = 100.0) -> list[float]:
    """When a deadline fired that was set to these times, in this order; None clears it."""
    loop = Clock()
    calls: list[float] = []
    deadline = Deadline(loop, lambda: calls.append(loop.now))
    for move in moves:
        if move is None:
            deadline.clear()
        else:
            deadline.set(move)
    while loop.now < until:
        loop.now += 1.0
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
    return calls


def test_it_fires_once_at_the_last_time_it_was_set_to() -> None:
    assert fired(10) == [10]
    assert fired(10, 20) == [20]
    assert fired(20, 10) == [10]
    assert fired(10, 10) == [10]


def test_a_cleared_one_does_not_fire_and_can_be_set_again() -> None:
    assert fired(10, None) == []
    assert fired(10, None, None, 10) == [10]
    assert fired(None) == []
