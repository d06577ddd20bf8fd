"""When a lost stream is come back to, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from riverrun.backends.comeback import PATIENCE, Comeback
from tests import virtual


class Diary:
    """What a Comeback did, and when, in seconds from the start."""

    def __init__(self) -> None:
        self.began = asyncio.get_running_loop().time()
        self.attempts: list[float] = []
        self.given_up: list[float] = []
        self.comeback = Comeback(lambda: self.attempts.append(self.now), lambda: self.given_up.append(self.now))

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.began


def test_each_pause_is_twice_the_one_before_up_to_two_seconds() -> None:
    async def main() -> None:
        diary = Diary()
        for _ in range(7):
            diary.comeback.lost()
            await asyncio.sleep(10 if len(diary.attempts) == 6 else 3)
            assert diary.comeback.away
        pauses = [attempt - 3 * number for number, attempt in enumerate(diary.attempts)]
        assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])

    virtual.run(main())


def test_patience_ends_once_also_in_the_middle_of_an_attempt() -> None:
    async def main() -> None:
        diary = Diary()
        diary.comeback.lost()
        await asyncio.sleep(100)
        assert diary.attempts == pytest.approx([0.1])
        assert diary.given_up == pytest.approx([PATIENCE])

    virtual.run(main())


def test_only_time_without_a_connection_uses_patience_up() -> None:
    async def main() -> None:
        diary = Diary()
        for _ in range(2):
            diary.comeback.lost()
            await asyncio.sleep(10)
            diary.comeback.back()
            assert not diary.comeback.away
            await asyncio.sleep(500)
        diary.comeback.lost()
        await asyncio.sleep(9.9)
        assert not diary.given_up
        await asyncio.sleep(0.2)
        assert diary.given_up == pytest.approx([2 * 510 + 10])

    virtual.run(main())


def test_something_new_makes_the_next_cut_a_matter_of_its_own() -> None:
    async def main() -> None:
        diary = Diary()
        for _ in range(3):
            diary.comeback.lost()
            await asyncio.sleep(29)
            diary.comeback.back()
            diary.comeback.progressed()
        assert diary.attempts == pytest.approx([0.1, 29.1, 58.1])
        assert not diary.given_up

    virtual.run(main())


def test_after_a_stop_nothing_happens() -> None:
    async def main() -> None:
        diary = Diary()
        diary.comeback.stop()
        diary.comeback.lost()
        diary.comeback.stop()
        await asyncio.sleep(100)
        assert not diary.attempts + diary.given_up

    virtual.run(main())
