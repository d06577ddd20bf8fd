"""What a folder of tapes keeps, and what it lets go."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from riverrun.failures import Failure
from riverrun.stream.flow import Cancelled, Finished
from riverrun.tapes.contract import Taken
from riverrun.tapes.disk import Disk, Found
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests import virtual
from tests.tapes.contract import KEY, expected, opened, own
from tests.tapes.files import file_tapes, folders
from tests.tapes.reader import ANSWER, Ears, Reader, head

Where = tuple[Path, Path]


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_in_the_end_nothing_is_left() -> None:
    async def main(where: Where) -> None:
        retention = Retention(ended=10, keyed=20, stored=30, gone=40)
        async with file_tapes(where, retention=retention) as tapes, file_tapes(where, seed=2, retention=retention):
            mores: list[dict[str, object]] = [{}, {"key": KEY}, {"store": True}]
            for number, more in enumerate(mores):
                tape = await own(tapes, f"chatcmpl-{number}", None, **more)
                tape.append(ANSWER)
                await tapes.annotate(tape, {"a": "b"})
                tape.close(Finished(), None)
            await tapes.note("n", b"v", 50)
            await asyncio.sleep(200)
            days = 2 * 24 * 3600
            for path in (where[0] / "metadata").iterdir():  # of tapes that were never to be listed
                os.utime(path, (0, path.stat().st_mtime - days))
            await asyncio.sleep(40)
        assert files(where[0]) == ["format"]

    with folders() as where:
        virtual.run(main(where))


def test_over_the_bound_the_first_to_expire_goes_and_its_key_answers_410() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where, bound=6000) as tapes:
            for number in range(3):
                tape = await own(tapes, f"chatcmpl-{number}", key=f"{number}" * 64)
                tape.append([b"x" * 2000])
                tape.close(Cancelled(), None)
                await asyncio.sleep(1)
            await asyncio.sleep(60)
            taken = await tapes.create(head("chatcmpl-9", key="0" * 64), Ears())
            assert isinstance(taken, Taken)
            with pytest.raises(Failure) as raised:
                await tapes.open("acme", taken.id)
            assert raised.value.status == 410
            assert (await opened(tapes, "chatcmpl-1")).last == 1
            assert (await opened(tapes, "chatcmpl-2")).last == 1

    with folders() as where:
        virtual.run(main(where))


def test_what_is_kept_for_a_day_is_not_looked_at_twice_a_minute() -> None:
    class Counting(Disk):
        def __init__(self) -> None:
            self.seen = Counter[str]()

        def files(self, folder: Path) -> Iterable[tuple[str, Found]]:
            self.seen[folder.name] += 1
            return super().files(folder)

    async def main(where: Where) -> None:
        disk = Counting()
        async with file_tapes(where, disk=disk):
            await asyncio.sleep(2 * 3600 - 60)
            assert disk.seen["ended"] == disk.seen["notes"] > 200  # when the words of others go counts
            assert disk.seen["gone"] == disk.seen["keys"] == 2

    with folders() as where:
        virtual.run(main(where))


@pytest.mark.parametrize("live", [True, False])
def test_slow_readers_of_a_deleted_tape_get_no_more_of_it_in_any_process(live: bool) -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as one, file_tapes(where, seed=2) as two, file_tapes(where, seed=3) as three:
            tape = await own(one)
            for payload in ANSWER:
                tape.append([payload])
            if not live:
                tape.close(Finished(), None)
            readers = [Reader(1).on(await opened(tapes)) for tapes in (one, two, three)]
            await two.delete("acme", "chatcmpl-1")
            for reader in readers:
                reader.room = 9
                reader.following.more()
                assert (reader.lasts, reader.failures[0].code) == ([1], "deleted")
            assert files(where[0] / "live") == sorted(f"{path.name}/.lock" for path in (where[0] / "live").iterdir())
            assert files(where[0] / "ended") == []

    with folders() as where:
        virtual.run(main(where))


def test_what_nobody_reads_takes_no_memory() -> None:
    async def main(where: Where) -> None:
        room, other = Room(10_000_000, 0), Room(10_000_000, 0)
        async with file_tapes(where, room=room) as tapes, file_tapes(where, seed=2, room=other) as there:
            tape = await own(tapes)
            payloads = [b"x" * 10_000] * 100
            for payload in payloads:
                tape.append([payload])
            tape.close(Cancelled(), None)
            slow = Reader(1).on(await opened(there))
            await asyncio.sleep(60)
            assert room.used == 0
            assert other.used > 1_000_000
            slow.room = 1000
            slow.following.more()
            assert slow.bytes == expected(payloads)
            slow.following.leave()
            await asyncio.sleep(60)
            assert other.used == 0
            again = Reader().on(await opened(tapes))
            assert again.bytes == expected(payloads)

    with folders() as where:
        virtual.run(main(where))


def test_a_long_tape_is_read_in_turns_with_others() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes, file_tapes(where, seed=2) as there:
            tape = await own(tapes)
            for _ in range(200):
                tape.append([b"x" * 20_000])
            turns = 0
            reading = asyncio.ensure_future(opened(there))
            while not reading.done():
                turns += 1
                await asyncio.sleep(0)
            assert turns > 10
            assert (await reading).last == 200

    with folders() as where:
        virtual.run(main(where))


def test_the_folder_is_for_its_user_only() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            await own(tapes, key=KEY, store=True)
            await tapes.note("n", b"v", 50)
            for path in where[0].rglob("*"):
                if path.is_file():
                    assert path.stat().st_mode & 0o077 == 0
            assert where[0].stat().st_mode & 0o777 == 0o700
            assert where[1].stat().st_mode & 0o777 == 0o700
            assert [path.stat().st_mode & 0o777 for path in where[1].iterdir()] == [0o600]

    with folders() as where:
        virtual.run(main(where))


@pytest.mark.parametrize("said", [b"2\n", b"something else"])
def test_a_folder_of_another_format_is_refused_by_name(said: bytes) -> None:
    async def main(where: Where) -> None:
        where[0].mkdir()
        (where[0] / "format").write_bytes(said)
        with pytest.raises(Failure, match=str(where[0])):
            async with file_tapes(where):
                raise AssertionError
        assert files(where[0]) == ["format"]

    with folders() as where:
        virtual.run(main(where))


def test_a_socket_hears_only_what_it_understands() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            tape = await own(tapes)
            (path,) = where[1].iterdir()
            for words in (b"\n", b"{}x\n", b'{"follow":1}\n', b"[" * 3000 + b"\n", b"x" * 5000):
                reader, writer = await asyncio.open_unix_connection(str(path))
                writer.write(words)
                with suppress(ConnectionResetError):  # cut with or without one
                    assert await reader.read() == b""
                writer.close()
            tape.append(ANSWER)
            assert tape.last == 4

    with folders() as where:
        virtual.run(main(where))
