"""Tapes in files, between real processes: the owner is killed, stopped, raced with (X4, X5, X14; V1-V4)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from riverrun.stream.flow import Cancelled
from tests.tapes.contract import Nobody, expected, opened
from tests.tapes.files import Adopting
from tests.tapes.reader import PATIENCE, Reader
from tests.tapes.worker import KEYS, TAPES, file_tapes, payload

Worker = subprocess.Popen[str]


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rr") as folder:
        yield Path(folder)


@contextlib.contextmanager
def worker(verb: str, root: Path, sockets: Path) -> Iterator[Worker]:
    command = [sys.executable, "-m", "tests.tapes.worker", verb, str(root), str(sockets)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def finish(adopting: Adopting) -> None:
    """Three more events, and the end, on each tape that was taken over."""
    for id, tape in adopting.tapes.items():
        for _ in range(3):
            tape.append([payload(id, tape.written + 1)])
        tape.close(Cancelled(), None)


def whole(id: str, last: int) -> bytes:
    return expected([payload(id, number) for number in range(1, last + 1)])


@pytest.mark.parametrize("seed", range(4))
def test_what_was_seen_of_a_killed_owner_is_replayed_and_goes_on(tmp_path: Path, sockets: Path, seed: int) -> None:
    async def main() -> None:
        with worker("write", tmp_path, sockets) as owner:
            both = [file_tapes(tmp_path, sockets), file_tapes(tmp_path, sockets)]
            adopting = [Adopting(), Adopting()]
            adopting[1].changed = adopting[0].changed
            for tapes, adopter in zip(both, adopting, strict=True):
                await tapes.open_for(adopter)
            ids = [f"t{number}" for number in range(TAPES)]
            readers = {id: [Reader().on(await opened(tapes, id)) for tapes in both] for id in ids}
            moment = Random(seed).randint(1, 150)
            await asyncio.gather(*(each.until(moment) for pair in readers.values() for each in pair))
            owner.kill()
            owner.wait()
            seen = {id: max(reader.lasts[-1] for reader in pair) for id, pair in readers.items()}
            async with asyncio.timeout(PATIENCE):
                while sum(len(adopter.tapes) for adopter in adopting) < TAPES:
                    await adopting[0].changed.wait()
                    adopting[0].changed.clear()
            for adopter in adopting:
                finish(adopter)
            assert adopting[0].tapes.keys() ^ adopting[1].tapes.keys() == set(ids)  # each by one of them
            for id in ids:
                for reader in readers[id]:
                    await reader.done()
                    assert reader.endings == [Cancelled()]
                    last = reader.lasts[-1]
                    assert last >= seen[id] + 3
                    assert reader.bytes == whole(id, last)
                for tapes in both:
                    late = Reader().on(await opened(tapes, id))
                    await late.done()
                    assert late.bytes == readers[id][0].bytes
            for tapes in both:
                await tapes.close()
        assert list((tmp_path / "live").iterdir()) == []

    asyncio.run(main())


def test_owners_that_are_killed_while_they_take_over_lose_nothing(tmp_path: Path, sockets: Path) -> None:
    moments = Random(5)
    with worker("write", tmp_path, sockets) as owner, contextlib.suppress(subprocess.TimeoutExpired):
        owner.wait(0.05)
    for _ in range(6):
        with worker("go_on", tmp_path, sockets) as owner, contextlib.suppress(subprocess.TimeoutExpired):
            owner.wait(moments.random() * 0.05)

    async def main() -> None:
        adopting = Adopting()
        tapes = file_tapes(tmp_path, sockets)
        await tapes.open_for(adopting)
        assert adopting.tapes.keys() == {f"t{number}" for number in range(TAPES)}
        for id, tape in adopting.tapes.items():
            assert tape.written > 0
            assert Reader().on(tape).bytes == whole(id, tape.written)
        await tapes.close()

    asyncio.run(main())
    assert not list((tmp_path / "damaged").iterdir())


def test_a_stopped_owner_keeps_its_tapes(tmp_path: Path, sockets: Path) -> None:
    async def main() -> None:
        with worker("write", tmp_path, sockets) as owner:
            owner.send_signal(signal.SIGSTOP)
            tapes = file_tapes(tmp_path, sockets)
            await tapes.open_for(Nobody())
            reader = Reader().on(await opened(tapes, "t7"))
            others = file_tapes(tmp_path, sockets)
            await others.open_for(Nobody())  # looks for the dead, and finds none
            before = reader.lasts[-1] if reader.lasts else 0
            owner.send_signal(signal.SIGCONT)
            await reader.until(before + 20)
            assert reader.bytes == whole("t7", reader.lasts[-1])
            reader.following.leave()
            await others.close()
            await tapes.close()
            owner.kill()
            owner.wait()
            adopting = Adopting()
            after = file_tapes(tmp_path, sockets)
            await after.open_for(adopting)
            assert len(adopting.tapes) == TAPES
            await after.close()

    asyncio.run(main())


def test_of_two_processes_that_want_a_key_one_gets_it(tmp_path: Path, sockets: Path) -> None:
    with worker("race", tmp_path, sockets) as one, worker("race", tmp_path, sockets) as two:
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = []
        for process in (one, two):
            assert process.stdout is not None
            said.append([process.stdout.readline() for _ in range(KEYS)])
    assert said[0] == said[1]
    assert len(set(said[0])) == KEYS
