"""What dead processes left: taken over whole, cut where it is torn, moved aside where it is no tape."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Committed, Listener, OwnTape, Taken
from riverrun.tapes.disk import At, Disk
from riverrun.tapes.file_journal import Tail
from riverrun.tapes.file_places import LOCK
from riverrun.tapes.records import LARGEST, PREFIX, Begin, Block, encoded, told
from riverrun.tapes.retention import Retention
from riverrun.wire.chunk import CompletionUsage
from tests import virtual
from tests.tapes.contract import KEY, expected, opened, own
from tests.tapes.files import Adopting, file_tapes, folders, left_by_the_dead
from tests.tapes.reader import ANSWER, PATIENCE, Ears, Reader, head

USAGE = CompletionUsage(1, 2, 3)


@cache
def records() -> tuple[bytes, ...]:
    """A tape's records: a head, the first event, content, the other events, the ending."""
    return (
        encoded(Begin(head(), 1, "/nowhere.sock")),
        encoded(Block(expected(ANSWER[:1]), 1)),
        encoded(Committed("tiny")),
        *(encoded(Block(expected(ANSWER[:last], last - 1), last)) for last in (2, 3, 4)),
        encoded(told(Finished(), USAGE, 1.0)),
    )


EVENTS = (0, 1, 1, 2, 3, 4, 4)
"""How many events are in so many records and one."""


def whole_records(content: bytes) -> int:
    count = 0
    for number, record in enumerate(records()):
        if not content.startswith(record):
            break
        content = content[len(record) :]
        count = number + 1
    return count


async def adopted(where: tuple[Path, Path], content: bytes, torn: bool = False) -> None:
    """`torn`: where not even its beginning is whole, it may be a tape that nobody was told of, which is removed."""
    count = whole_records(content)
    left_by_the_dead(where[0], "chatcmpl-1.tape", content)
    adopting = Adopting()
    async with file_tapes(where, adopting) as tapes:
        if count == 0:
            damaged = [path.read_bytes() for path in (where[0] / "damaged").iterdir()]
            assert damaged == ([] if torn else [content])
            assert await tapes.open("acme", "chatcmpl-1") is None
        elif count == len(records()):
            assert adopting.tapes == {}
            assert (await (await opened(tapes)).ended()).usage == USAGE
        else:
            tape = adopting.tapes["chatcmpl-1"]
            assert tape.payloads() == ANSWER[: EVENTS[count - 1]]
            assert tape.last == tape.written == EVENTS[count - 1]
            if count > 2:
                assert await tape.committed() == Committed("tiny")
            tape.append([b"on"])
            tape.close(Finished(), None)
        assert not (where[0] / "live" / "dead").exists()
    if 0 < count < len(records()):
        async with file_tapes(where, seed=2) as tapes:
            late = Reader().on(await opened(tapes))
            assert late.bytes == expected([*ANSWER[: EVENTS[count - 1]], b"on"])
            assert late.endings == [Finished()]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_that_was_cut_anywhere_gives_a_prefix(data: st.DataObject) -> None:
    content = b"".join(records())
    at = data.draw(st.integers(0, len(content)))
    with folders() as where:
        virtual.run(adopted(where, content[:at], torn=True))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_with_a_wrong_byte_gives_a_prefix(data: st.DataObject) -> None:
    content = bytearray(b"".join(records()))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    beyond = len(content) < PREFIX.size + PREFIX.unpack_from(content)[1] <= PREFIX.size + LARGEST
    with folders() as where:
        virtual.run(adopted(where, bytes(content), torn=beyond))


def test_every_owner_begins_an_epoch() -> None:
    async def main(where: tuple[Path, Path]) -> None:
        async with file_tapes(where, seed=1) as first:
            tape = await own(first)
            tape.append(ANSWER[:1])
            reader = Reader().on(tape)
        assert reader.failures[0].status == 503  # it was left to others
        with pytest.raises(Failure):
            tape.append(ANSWER[1:2])
        for seed in (2, 3):
            adopting = Adopting()
            async with file_tapes(where, adopting, seed=seed):
                assert adopting.tapes["chatcmpl-1"].epoch == seed
                adopting.tapes["chatcmpl-1"].append([ANSWER[seed - 1]])
        (path,) = where[0].glob("live/*/*.tape")
        disk = Disk()
        file = disk.open(path)
        found = [record for records in Tail(disk, file).pieces() for record in records]
        disk.close(file)
        assert [record.epoch for record in found if isinstance(record, Begin)] == [1, 2, 3]
        assert [record.last for record in found if isinstance(record, Block)] == [1, 2, 3]

    with folders() as where:
        virtual.run(main(where))


@pytest.mark.parametrize("loop", [virtual.VirtualLoop, uvloop.new_event_loop])
def test_a_reader_elsewhere_goes_on_at_the_new_owner(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main(where: tuple[Path, Path]) -> None:
        adopting = Adopting()
        async with file_tapes(where, seed=1) as first, file_tapes(where, adopting, seed=2) as second:
            tape = await own(first)
            tape.append(ANSWER[:1])
            reader = Reader().on(await opened(second))
            waiting = asyncio.ensure_future((await opened(second)).ended())
            await first.close()
            async with asyncio.timeout(PATIENCE):
                await adopting.changed.wait()
            new = adopting.tapes["chatcmpl-1"]
            for payload in ANSWER[1:]:
                new.append([payload])
            new.close(Finished(), None)
            await reader.done()
            assert reader.bytes == expected(ANSWER)
            assert reader.endings == [Finished()]
            assert (await waiting).choices[0].message.content == "Hi"

    with folders() as where, asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main(where))


def test_a_tape_that_nobody_takes_over_breaks_after_a_while() -> None:
    async def main(where: tuple[Path, Path]) -> None:
        path = left_by_the_dead(where[0], "chatcmpl-1.tape", b"".join(records()[:3]))
        disk = Disk()
        lock = disk.open(path.parent / LOCK)
        assert disk.lock(lock)  # alive, but nobody listens at its socket
        async with file_tapes(where) as tapes:
            reader = Reader().on(await opened(tapes))
            assert reader.lasts == [1]
            await reader.done()
            assert reader.failures[0].code == "upstream_interrupted"
            with pytest.raises(Failure, match="does not answer"):
                await tapes.cancel(await opened(tapes))
        disk.close(lock)

    with folders() as where:
        virtual.run(main(where))


def test_the_tape_of_a_newer_riverrun_is_left_alone_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main(where: tuple[Path, Path]) -> None:
        content = encoded(Begin(head(), version=99))
        path = left_by_the_dead(where[0], "chatcmpl-1.tape", content)
        async with file_tapes(where):
            await asyncio.sleep(10)
            assert path.read_bytes() == content
        assert len([record for record in caplog.records if str(path) in record.getMessage()]) == 1

    with folders() as where, caplog.at_level(logging.WARNING):
        virtual.run(main(where))


def test_an_ending_that_was_written_but_not_put_away_is() -> None:
    async def main(where: tuple[Path, Path]) -> None:
        left_by_the_dead(where[0], "chatcmpl-1.tape", b"".join(records()))
        left_by_the_dead(where[0], ".new-7", b"half of a head")
        async with file_tapes(where, retention=Retention(ended=100)) as tapes:
            assert (await opened(tapes)).ending == Finished()
            assert not (where[0] / "live" / "dead").exists()
            await asyncio.sleep(101)
            with pytest.raises(Failure) as raised:
                await tapes.open("acme", "chatcmpl-1")
            assert raised.value.status == 410

    with folders() as where:
        virtual.run(main(where))


@pytest.mark.parametrize("part", [0, 1, 20])
def test_a_beginning_that_is_not_written_yet_is_no_tape(part: int) -> None:
    async def main(where: tuple[Path, Path]) -> None:
        async with file_tapes(where) as tapes, file_tapes(where, seed=2) as there:
            path = next((where[0] / "live").iterdir()) / "chatcmpl-1.tape"
            path.write_bytes(records()[0][:part])
            for each in (tapes, there):
                assert await each.open("acme", "chatcmpl-1") is None
                await each.delete("acme", "chatcmpl-1")
            path.write_bytes(records()[0])
            assert (await opened(there)).last == 0

    with folders() as where:
        virtual.run(main(where))


def test_a_beginning_for_which_there_was_no_room_is_removed_with_its_owner() -> None:
    class Failing(Disk):
        failing = False

        def append(self, file: int, pieces: Sequence[bytes]) -> int:
            return super().append(file, [pieces[0][:20]] if self.failing else pieces)

        def unlink(self, path: At) -> None:
            if self.failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().unlink(path)

    async def main(where: tuple[Path, Path]) -> None:
        disk = Failing()
        async with file_tapes(where, disk=disk) as tapes:
            disk.failing = True
            with pytest.raises(Failure, match="can't write"):
                await tapes.create(head(), Ears())
            disk.failing = False
            (left,) = where[0].rglob("chatcmpl*")
            assert left.stat().st_size == 20
        adopting = Adopting()
        async with file_tapes(where, adopting, seed=2):
            assert adopting.tapes == {}
            assert not list(where[0].rglob("chatcmpl*"))

    with folders() as where:
        virtual.run(main(where))


def test_a_key_whose_maker_died_before_it_made_the_tape_is_free_after_a_moment() -> None:
    async def main(where: tuple[Path, Path]) -> None:
        async with file_tapes(where) as tapes:
            await own(tapes, key=KEY)
            (path,) = where[0].glob("live/*/*.tape")
            path.unlink()
            await asyncio.sleep(2)
            assert await tapes.create(head("chatcmpl-2", key=KEY), Ears()) == Taken("chatcmpl-1", "")
            await asyncio.sleep(5)
            await own(tapes, "chatcmpl-3", key=KEY)

    with folders() as where:
        virtual.run(main(where))


def odd_lock(content: bytes) -> Callable[[Path], object]:
    def make(live: Path) -> None:
        left_by_the_dead(live.parent, "half.tape", b"", owner="aaa").unlink()
        (live / "aaa" / LOCK).write_bytes(content)

    return make


ODD: dict[str, Callable[[Path], object]] = {
    "not UTF-8": odd_lock(b"\xff\xfe.sock"),
    "a NUL": odd_lock(b"/tmp/a\0\0b.sock"),
    "zeros": odd_lock(b"\0" * 40),
    "a folder as lock": lambda live: (live / "aaa" / LOCK).mkdir(parents=True),
    "a file as folder": lambda live: (live / "aaa").write_bytes(b"x"),
    "a folder as tape": lambda live: (left_by_the_dead(live.parent, "b", b"").parent / "a.tape").mkdir(),
    "a folder as leftover": lambda live: (left_by_the_dead(live.parent, "b", b"").parent / ".new-1").mkdir(),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("running", [False, True])
def test_one_odd_thing_keeps_nobody_else_waiting(
    odd: Callable[[Path], object], running: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(where: tuple[Path, Path]) -> None:
        def leave() -> None:
            (where[0] / "live").mkdir(parents=True, exist_ok=True)
            odd(where[0] / "live")
            left_by_the_dead(where[0], "chatcmpl-1.tape", b"".join(records()[:3]))

        if not running:
            leave()
        adopting = Adopting()
        async with file_tapes(where, adopting) as tapes:
            if running:
                leave()
            await asyncio.sleep(10)
            assert adopting.tapes.keys() == {"chatcmpl-1"}
            adopting.tapes["chatcmpl-1"].close(Finished(), None)
            assert (await opened(tapes)).ending == Finished()
            await tapes.delete("acme", "chatcmpl-1")
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == len(set(said)) <= 1

    with folders() as where, caplog.at_level(logging.WARNING):
        virtual.run(main(where))


def test_whatever_goes_wrong_with_one_tape_is_logged_and_the_looking_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Stumbling(Adopting):
        def adopt(self, tape: OwnTape) -> Listener:
            if tape.head.id == "chatcmpl-1":
                raise RuntimeError("a mistake")
            return super().adopt(tape)

    async def main(where: tuple[Path, Path]) -> None:
        adopting = Stumbling()
        async with file_tapes(where, adopting):
            for number in (1, 2):
                begin = encoded(Begin(head(f"chatcmpl-{number}"), 1, "/nowhere.sock"))
                left_by_the_dead(where[0], f"chatcmpl-{number}.tape", begin)
            await asyncio.sleep(5)
            assert adopting.tapes.keys() == {"chatcmpl-2"}
        assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["a mistake"]

    with folders() as where, caplog.at_level(logging.WARNING):
        virtual.run(main(where))
