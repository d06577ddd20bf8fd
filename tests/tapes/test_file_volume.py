"""The bound on what tape files take: the ended go first, then there are no new ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from riverrun.failures import Failure
from riverrun.stream.flow import Cancelled
from riverrun.tapes.contract import Taken
from riverrun.tapes.disk import Disk
from tests import virtual
from tests.tapes.contract import KEY, opened, own
from tests.tapes.files import file_tapes, folders
from tests.tapes.reader import Ears, head

Where = tuple[Path, Path]


def taken_by_tapes(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*.tape"))


def test_ended_tapes_make_room_for_new_ones_at_once() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where, bound=10_000) as tapes:
            for number in range(20):
                tape = await own(tapes, f"chatcmpl-{number}")
                tape.append([b"x" * 3000])
                tape.close(Cancelled(), None)
                assert taken_by_tapes(where[0]) < 14_000
                await asyncio.sleep(0.01)
            assert (await opened(tapes, "chatcmpl-19")).last == 1

    with folders() as where:
        virtual.run(main(where))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_live_tapes_over_the_bound_let_no_other_in_until_one_is_over(elsewhere: bool) -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where, bound=10_000) as here, file_tapes(where, seed=2, bound=10_000) as there:
            tape = await own(here, key=KEY)
            tape.append([b"x" * 12_000])
            asked = there if elsewhere else here
            for _ in range(3):
                with pytest.raises(Failure, match="no room") as raised:
                    await asked.create(head("chatcmpl-2"), Ears())
                assert (raised.value.status, raised.value.retry_after) == (503, 5.0)
            assert await asked.create(head("chatcmpl-2", key=KEY), Ears()) == Taken("chatcmpl-1", "")
            tape.append([b"on"])  # what is live goes on
            tape.close(Cancelled(), None)
            await asyncio.sleep(2)
            await own(asked, "chatcmpl-3")

    with folders() as where:
        virtual.run(main(where))


def test_a_new_tape_under_the_bound_costs_no_look_at_the_folder() -> None:
    class Counting(Disk):
        looks = 0

        def files(self, folder: Path):  # type: ignore[no-untyped-def]  # as the real one
            self.looks += 1
            return super().files(folder)

    async def main(where: Where) -> None:
        disk = Counting()
        async with file_tapes(where, bound=1_000_000, disk=disk) as tapes:
            await own(tapes, "chatcmpl-0")
            first = disk.looks
            for number in range(1, 50):
                await own(tapes, f"chatcmpl-{number}")
            assert disk.looks == first

    with folders() as where:
        virtual.run(main(where))
