"""A tenant's list of tapes in files is read one by one, and nothing of it stays in memory."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from riverrun.stream.flow import Finished
from riverrun.tapes.room import Room
from tests import virtual
from tests.tapes.contract import opened, own
from tests.tapes.files import file_tapes, folders
from tests.tapes.reader import ANSWER, Reader

COUNT = 50


@pytest.mark.parametrize("live", [True, False])
def test_a_list_holds_one_tape_at_a_time(live: bool) -> None:
    async def main(where: tuple[Path, Path]) -> None:
        room = Room(10_000_000, 0)
        async with file_tapes(where) as here, file_tapes(where, seed=2, room=room) as there:
            for number in range(COUNT):
                tape = await own(here, f"chatcmpl-{number:02}", store=True)
                tape.append(ANSWER)
                if not live:
                    tape.close(Finished(), None)
            await asyncio.sleep(60.0)  # the ended ones are in memory no more
            reader = Reader(1).on(await opened(there, "chatcmpl-07"))
            assert room.tapes == 1
            seen = []
            async for listed in there.stored("acme"):
                seen.append(listed.head.id)
                assert listed.last == 4
                assert room.tapes <= 2
            assert seen == [f"chatcmpl-{number:02}" for number in range(COUNT)]
            async with aclosing(there.stored("acme", newest_first=True)) as stored:
                assert (await anext(stored)).head.id == f"chatcmpl-{COUNT - 1}"
            assert room.tapes == 1
            reader.room = 9
            reader.following.more()
            assert reader.lasts[-1] == 4

    with folders() as where:
        virtual.run(main(where))
