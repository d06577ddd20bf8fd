"""A disk that is full, broken, or out of files, at every single call (X18): typed errors, and nothing corrupt after."""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from pathlib import Path

import pytest

from riverrun.failures import Cause, Failure
from riverrun.stream.flow import Finished, Refused
from riverrun.tapes.contract import Committed, OwnTape, Taken
from riverrun.tapes.disk import Disk
from tests import virtual
from tests.tapes.contract import KEY, expected
from tests.tapes.files import Adopting, Failing, file_tapes, folders
from tests.tapes.reader import ANSWER, Ears, Reader, head

CALLS = 70
"""More than the scenario makes; the last ones fail nowhere."""


async def outcome(where: tuple[Path, Path], disk: Disk) -> Reader | None:
    """What the tape's reader saw. None: it could not be made, and a typed error said so."""
    playing = asyncio.ensure_future(play(where, disk))
    await asyncio.wait([playing])
    failure = playing.exception()
    assert failure is None or (isinstance(failure, Failure) and failure.cause is Cause.STORAGE)
    return playing.result() if failure is None else None


async def play(where: tuple[Path, Path], disk: Disk) -> Reader:
    """A tape from its making to its retelling."""
    async with file_tapes(where, disk=disk) as tapes:
        tape = await tapes.create(head(key=KEY, store=True), Ears())
        assert not isinstance(tape, Taken)
        reader = Reader().on(tape)
        with suppress(Failure):
            write(tape)
        tape.close(Finished(), None)
        await reader.done()
        with suppress(Failure):
            await tapes.note("n", b"", 10)
        with suppress(Failure):
            if found := await tapes.open("acme", "chatcmpl-1"):
                await tapes.annotate(found, {"a": "1"})
        await asyncio.sleep(4)  # looks and sweeps
        return reader


def write(tape: OwnTape) -> None:
    tape.append(ANSWER[:1])
    tape.commit(Committed("tiny"))
    for payload in ANSWER[1:]:
        tape.append([payload])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EMFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("lasting", [True, False])
def test_a_call_fails(code: int, lasting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riverrun.tapes.file.SWEEP", 1.0)
    failed = 0
    for at in range(1, CALLS):
        with folders() as where:
            disk = Failing(at, code, lasting, half=code == errno.ENOSPC)
            reader = virtual.run(outcome(where, disk))
            failed += disk.failed
            virtual.run(after(where, reader))
    assert failed > 40


async def after(where: tuple[Path, Path], reader: Reader | None) -> None:
    """What is left is whole: everything that was seen is there, and whoever takes it over goes on with it."""
    if reader is not None:
        assert expected(ANSWER).startswith(reader.bytes)
        assert reader.failures or isinstance(reader.endings[0], Finished | Refused)
    adopting = Adopting()
    async with file_tapes(where, adopting, seed=2) as tapes:
        assert not list((where[0] / "damaged").iterdir())
        for tape in adopting.tapes.values():
            seen = ANSWER[: tape.written]
            assert tape.payloads() == seen
            tape.append([b"more"])
            tape.close(Finished(), None)
        found = await tapes.open("acme", "chatcmpl-1")
        if reader is not None:
            assert found is not None
            late = Reader().on(found)
            await late.done()
            assert late.endings
            assert late.bytes.startswith(reader.bytes)
            if isinstance(late.endings[0], Finished) and not adopting.tapes:
                assert late.bytes == expected(ANSWER)
        if found is not None:  # its key names it, or went when it could not be made
            taken = await tapes.create(head("chatcmpl-2", key=KEY), Ears())
            assert not isinstance(taken, Taken) or taken.id == "chatcmpl-1"
