"""A tape: what was appended is what every reader gets, from wherever it stands and however slowly it reads."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Committed, Following, Head, Signal
from riverrun.tapes.memory import MemoryTape
from riverrun.wire.chunk import DONE, CompletionUsage, Identity, Writer
from riverrun.wire.sse import frame
from tests import virtual

HEAD = Head("chatcmpl-1", 7, "local")
WRITER = Writer(Identity("chatcmpl-1", 7, "tiny"))
ANSWER = [
    WRITER.delta(0, b'"role":"assistant","content":"","refusal":null'),
    WRITER.text(0, b'"Hi"'),
    WRITER.delta(0, b"", finish_reason=b'"stop"'),
    DONE,
]


class Reader:
    """A follower that takes `room` blocks at a time."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.blocks: list[bytes] = []
        self.lasts: list[int] = []
        self.endings: list[Ending] = []
        self.following: Following

    def on(self, tape: MemoryTape, after: int = 0) -> "Reader":
        self.following = tape.follow(after, self)
        self.following.more()
        return self

    def frames(self, block: bytes, last: int) -> bool:
        self.blocks.append(block)
        self.lasts.append(last)
        self.room -= 1
        return self.room > 0

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)

    @property
    def bytes(self) -> bytes:
        return b"".join(self.blocks)


def tape(signals: list[Signal] | None = None) -> MemoryTape:
    return MemoryTape(HEAD, (signals if signals is not None else []).append)


async def _numbers() -> None:
    it = tape()
    reader = Reader().on(it)
    it.append([b"a", b"b"])
    it.append([b"c"])
    assert reader.blocks == [frame(1, b"a") + frame(2, b"b"), frame(3, b"c")]
    assert reader.lasts == [2, 3]
    assert it.last == 3
    assert it.payloads() == [b"a", b"b", b"c"]


def test_events_are_numbered_from_one() -> None:
    asyncio.run(_numbers())


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
        after_ = min(after, sum(map(len, appends[:late])))
        for payloads in appends[:late]:
            it.append(payloads)
        reader = Reader(room).on(it, after_)
        for payloads in appends[late:]:
            it.append(payloads)
        it.close(Cancelled(), None)
        while reader.room <= 0:
            reader.room = room
            reader.following.more()
        every = [payload for payloads in appends for payload in payloads]
        assert reader.bytes == b"".join(frame(n, p) for n, p in enumerate(every, 1) if n > after_)
        assert reader.endings == [Cancelled()]

    asyncio.run(main())


def test_a_slow_reader_stalls_nobody() -> None:
    async def main() -> None:
        it = tape()
        slow, quick = Reader(1).on(it), Reader().on(it)
        for payload in (b"a", b"b", b"c"):
            it.append([payload])
        it.close(Cancelled(), None)
        assert len(quick.blocks) == 3
        assert quick.endings
        assert slow.blocks == [frame(1, b"a")]
        assert not slow.endings
        slow.room = 9
        slow.following.more()
        assert slow.bytes == quick.bytes
        assert slow.endings == [Cancelled()]

    asyncio.run(main())


def test_the_owner_hears_when_the_last_reader_leaves() -> None:
    async def main() -> None:
        signals: list[Signal] = []
        it = tape(signals)
        one, two = Reader().on(it), Reader().on(it)
        one.following.leave()
        one.following.leave()
        assert signals == []
        two.following.leave()
        assert signals == ["left"]
        it.append([b"a"])
        assert one.blocks == two.blocks == []

    asyncio.run(main())


def test_leaving_an_ended_tape_tells_nobody() -> None:
    async def main() -> None:
        signals: list[Signal] = []
        it = tape(signals)
        reader = Reader().on(it)
        it.close(Cancelled(), None)
        reader.following.leave()
        assert signals == []

    asyncio.run(main())


def test_a_reader_may_leave_while_it_is_fed() -> None:
    async def main() -> None:
        it = tape()
        shy, other = Reader(), Reader()

        def leave(block: bytes, last: int) -> bool:
            shy.following.leave()
            return True

        shy.frames = leave  # type: ignore[method-assign]  # one reader of its own kind
        shy.on(it)
        other.on(it)
        it.append([b"a"])
        it.append([b"b"])
        assert other.lasts == [1, 2]

    asyncio.run(main())


def test_the_whole_answer() -> None:
    async def main() -> None:
        it = tape()
        usage = CompletionUsage(1, 2, 3)
        it.append(ANSWER[:2])
        it.commit(Committed("tiny", ("user",)))
        it.append(ANSWER[2:])
        it.close(Finished(), usage)
        assert await it.committed() == Committed("tiny", ("user",))
        whole = await it.ended()
        assert whole.choices[0].message.content == "Hi"
        assert whole.usage == usage

    asyncio.run(main())


@pytest.mark.parametrize("commit", [True, False])
def test_a_failure_reaches_whoever_waits(commit: bool) -> None:
    async def main() -> None:
        it = tape()
        waiting = asyncio.ensure_future(it.ended())
        await asyncio.sleep(0)
        if commit:
            it.commit(Committed("tiny"))
        it.close(Refused(Failure(Cause.UPSTREAM_TIMEOUT, "silent")), None)
        with pytest.raises(Failure, match="silent"):
            await waiting
        if commit:
            assert await it.committed()
        else:
            with pytest.raises(Failure, match="silent"):
                await it.committed()

    virtual.run(main())


def test_a_cancelled_tape_says_so() -> None:
    async def main() -> None:
        it = tape()
        it.close(Cancelled(), None)
        with pytest.raises(Failure, match="cancelled"):
            await it.ended()

    asyncio.run(main())
