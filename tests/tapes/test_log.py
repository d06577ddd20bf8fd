"""A log: whoever follows it gets every event once, in order, from wherever it stands and however slowly it reads; and
whoever waits is told once."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Cancelled, Ending, Finished
from riverrun.tapes.blocks import SETTLED, Blocks
from riverrun.tapes.contract import Committed, Signal
from riverrun.tapes.own import Done, Own
from riverrun.tapes.spill import Spill
from riverrun.wire.chunk import DONE, CompletionUsage
from tests.tapes.contract import expected
from tests.tapes.reader import ANSWER, Ears, Reader, head


def tape() -> Own:
    return Own(head(), Blocks(), None, Ears(), lambda own: None)


@given(
    st.lists(st.lists(st.sampled_from([b"{}", b'"x"', DONE]), min_size=1, max_size=3), max_size=12),
    st.integers(0, 36),
    st.integers(1, 3),
    st.integers(0, 12),
    st.booleans(),
)
def test_a_reader_from_anywhere_gets_the_rest_once(
    appends: list[list[bytes]], after: int, room: int, late: int, settled: bool
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
        if settled:
            it.blocks.settle()
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


class _Late:
    """Durable once the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def block(self, block: bytes, last: int, grown: Callable[[bytes, int], None]) -> None:
        self.waiting.append(partial(grown, block, last))

    def commit(self, facts: Committed, began: Callable[[Committed], None]) -> None:
        raise AssertionError("nothing is committed")

    def close(self, ending: Ending, usage: CompletionUsage | None, done: Done) -> None:
        raise AssertionError("nothing is closed")


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


def test_what_settles_lies_in_pieces_that_are_not_too_long() -> None:
    blocks = Blocks()
    event = b"id: %04d\ndata: " + b"x" * 1000 + b"\n\n"
    for number in range(1, 201):
        blocks.add(event % number, number)
    blocks.settle()
    whole, at = b"", 0
    while at < 200:
        piece, at = blocks.after(at)
        assert len(piece) < SETTLED + len(event)
        whole += piece
    assert whole == b"".join(event % number for number in range(1, 201))
    assert blocks.after(77)[0].startswith(event % 78)
    assert len(blocks.payloads()) == 200


def test_of_many_that_wait_each_is_told_and_may_stop_waiting() -> None:
    async def main() -> None:
        it = tape()
        first, impatient, second = (asyncio.ensure_future(it.committed()) for _ in range(3))
        whole, hasty = asyncio.ensure_future(it.ended()), asyncio.ensure_future(it.ended())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.sleep(0)
        facts = Committed("tiny")
        it.append(ANSWER)
        it.commit(facts)
        hasty.cancel()  # it was woken in the same moment
        assert (await first, await second, await it.committed()) == (facts, facts, facts)
        assert impatient.cancelled()
        assert not whole.done()
        it.close(Finished(), None)
        it.commit(Committed("too late"))
        assert (await whole).choices[0].message.content == (await it.ended()).choices[0].message.content == "Hi"
        assert hasty.cancelled()
        assert await it.committed() is facts

    asyncio.run(main())


def test_of_many_that_wait_in_vain_each_hears_why() -> None:
    async def main() -> None:
        it = tape()
        waiting = [asyncio.ensure_future(wait) for wait in (it.committed(), it.committed(), it.ended())]
        await asyncio.sleep(0)
        it.fail(Failure(Cause.STORAGE, "full", code="mine"))
        it.close(Finished(), None)
        it.commit(Committed("tiny"))
        heard = await asyncio.gather(*waiting, it.committed(), it.ended(), return_exceptions=True)
        failures = [each for each in heard if isinstance(each, Failure)]
        assert [(str(each), each.code) for each in failures] == [("full", "mine")] * 5
        failures[0].retry = False  # what one makes of it is nothing to the others
        assert failures[1].retry

    asyncio.run(main())


@pytest.mark.parametrize("leaves_first", [False, True])
def test_what_is_over_goes_without_the_collector(leaves_first: bool) -> None:
    """A follower knows its place and a run its tape; the tape lets go of both."""
    gone: list[str] = []

    class Knowing(Reader):
        def __del__(self) -> None:
            gone.append("reader")

    class Run:
        def __init__(self) -> None:
            self.tape = Own(head(), Blocks(), None, self.hear, lambda own: None)

        def hear(self, signal: Signal) -> None:
            """As a run hears its tape."""

        def __del__(self) -> None:
            gone.append("run")

    async def main() -> None:
        run = Run()
        tape = run.tape
        reader = Knowing().on(tape)
        following = reader.following
        tape.append(ANSWER)
        if leaves_first:
            following.leave()
        else:
            tape.close(Finished(), None)
        del reader
        assert gone == ["reader"]
        tape.close(Finished(), None)
        del run
        assert gone == ["reader", "run"]
        following.leave()
        assert sys.getrefcount(tape) - 1 == len(["tape", "following"])

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_who_attends_is_a_reader_that_is_told_only_the_end() -> None:
    async def main() -> None:
        ears, told = Ears(), list[str]()
        it = Own(head(), Blocks(), None, ears, lambda own: None)
        reader = Reader().on(it)

        def over() -> None:
            told.append("over")

        def other() -> None:
            told.append("other")

        it.attend(over)
        it.attend(other)
        reader.following.leave()
        assert it.read
        it.append([b"a"])
        it.absent(other)
        it.absent(other)  # it has gone already
        assert (ears.heard, told) == (["joined"], [])
        it.close(Finished(), None)
        assert told == ["over"]
        it.absent(over)
        assert (it.read, ears.heard) == (False, ["joined"])
        it.attend(other)
        assert told == ["over", "other"]

    asyncio.run(main())


def test_an_answer_is_left_when_nobody_attends_any_more() -> None:
    async def main() -> None:
        ears = Ears()
        it = Own(head(), Blocks(), None, ears, lambda own: None)
        over = list[None]().clear
        it.attend(over)
        it.absent(over)
        assert ears.heard == ["joined", "left"]

    asyncio.run(main())
