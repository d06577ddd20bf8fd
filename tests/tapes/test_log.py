"""A log: whoever follows it gets every event once, in order, from wherever it stands and however slowly it reads."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from riverrun.stream.flow import Cancelled
from riverrun.tapes.blocks import Blocks
from riverrun.tapes.own import InMemory, Own, Then
from riverrun.tapes.spill import Spill
from riverrun.wire.chunk import DONE
from tests.tapes.contract import expected
from tests.tapes.reader import Ears, Reader, head


def tape() -> Own:
    return Own(head(), Blocks(), InMemory(), Ears(), lambda own: None)


@given(
    st.lists(st.lists(st.sampled_from([b"{}", b'"x"', DONE]), min_size=1, max_size=3), max_size=6),
    st.integers(0, 18),
    st.integers(1, 3),
    st.integers(0, 6),
)
def test_a_reader_from_anywhere_gets_the_rest_once(
    appends: list[list[bytes]], after: int, room: int, late: int
) -> None:
    async def main() -> None:
        it = tape()
        start = min(after, sum(map(len, appends[:late])))
        for payloads in appends[:late]:
            it.append(payloads)
        reader = Reader(room).on(it, start)
        for payloads in appends[late:]:
            it.append(payloads)
        it.close(Cancelled(), None)
        while reader.room <= 0:
            reader.room = room
            reader.following.more()
        every = [payload for payloads in appends for payload in payloads]
        assert reader.bytes == expected(every, start)
        assert reader.endings == [Cancelled()]

    asyncio.run(main())


def test_a_reader_may_leave_while_it_is_fed() -> None:
    class Shy(Reader):
        def frames(self, block: bytes, last: int) -> bool:
            self.following.leave()
            return super().frames(block, last)

    async def main() -> None:
        it = tape()
        shy, other = Shy(), Reader()
        shy.on(it)
        other.on(it)
        it.append([b"a"])
        it.append([b"b"])
        assert shy.lasts == [1]
        assert other.lasts == [1, 2]

    asyncio.run(main())


class _Late(InMemory):
    """Durable once the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Then] = []

    def block(self, block: bytes, last: int, then: Then) -> None:
        self.waiting.append(then)


def test_what_spilled_before_it_was_durable_is_not_read_before() -> None:
    async def main() -> None:
        journal, blocks = _Late(), Blocks()
        it = Own(head(), blocks, journal, Ears(), lambda own: None)
        for payload in (b"{}", b'"x"', DONE):
            it.append([payload])
        journal.waiting[0]()
        blocks.spill(Spill())
        reader = Reader().on(it)
        assert reader.bytes == expected([b"{}"])
        journal.waiting[1]()
        journal.waiting[2]()
        assert reader.bytes == expected([b"{}", b'"x"', DONE])
        blocks.drop()

    asyncio.run(main())
