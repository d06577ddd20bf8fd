"""The tapes of this process, in files: what they hold in memory."""

from pathlib import Path

import msgspec
import pytest

from riverrun.failures import Failure
from riverrun.stream.flow import Cancelled
from riverrun.tapes.room import Room
from tests import virtual
from tests.tapes.contract import own
from tests.tapes.files import file_tapes, folders


def test_requests_count_while_they_run_and_what_has_ended_makes_room() -> None:
    async def main(where: tuple[Path, Path]) -> None:
        room = Room(10_000, 2**20)
        request = msgspec.Raw(b'{"model":"tiny","user":"%s"}' % (b"x" * 3000))
        async with file_tapes(where, room=room) as tapes:
            live = [await own(tapes, f"chatcmpl-{number}", request=request) for number in (1, 2, 3)]
            assert room.used > 9000
            with pytest.raises(Failure) as raised:
                await own(tapes, "chatcmpl-4", request=request)
            assert raised.value.status == 503
            live[0].close(Cancelled(), None)
            await own(tapes, "chatcmpl-5", request=request)
        assert (room.used, room.held) == (0, 0)

    with folders() as where:
        virtual.run(main(where))
