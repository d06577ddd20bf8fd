"""Keys of file tapes: only who has one gives it back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from riverrun.tapes.contract import Taken
from tests import virtual
from tests.tapes.contract import KEY, own
from tests.tapes.files import file_tapes, folders
from tests.tapes.reader import Ears, head


def test_a_key_that_another_has_stays_and_nobody_waits_for_it() -> None:
    async def main(where: tuple[Path, Path]) -> None:
        async with file_tapes(where) as tapes:
            await own(tapes, key=KEY)
            loop = asyncio.get_running_loop()
            before = loop.time()
            await tapes.forget_key(head("chatcmpl-2", key=KEY))
            assert loop.time() == before
            assert await tapes.create(head("chatcmpl-3", key=KEY), Ears()) == Taken("chatcmpl-1", "")
            await tapes.forget_key(head("chatcmpl-1", key=KEY))
            await own(tapes, "chatcmpl-4", key=KEY)

    with folders() as where:
        virtual.run(main(where))
