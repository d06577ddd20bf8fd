"""Lists of stored completions and their metadata, where something odd lies among the files."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest

from riverrun.failures import Failure
from riverrun.stream.flow import Finished
from riverrun.tapes.contract import Tapes
from riverrun.tapes.records import Begin, encoded
from tests import virtual
from tests.tapes.contract import opened, own
from tests.tapes.files import file_tapes, folders
from tests.tapes.reader import ANSWER, head

Where = tuple[Path, Path]


async def listed(tapes: Tapes, tenant: str = "acme") -> list[str]:
    return [tape.head.id async for tape in tapes.stored(tenant)]


async def stored(tapes: Tapes, id: str = "chatcmpl-1") -> None:
    tape = await own(tapes, id, store=True, request=msgspec.Raw(b'{"model":"tiny","metadata":{"a":"1"}}'))
    tape.append(ANSWER)
    tape.close(Finished(), None)


def make_newer(root: Path, id: str, *, store: bool) -> None:
    (root / "ended" / f"{id}.tape").write_bytes(encoded(Begin(head(id, store=store), version=2)))


def test_an_update_is_seen_in_the_tape_that_it_was_made_on() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            await stored(tapes)
            tape = await opened(tapes)
            await tapes.annotate(tape, {"b": "2"})
            assert tape.metadata == {"b": "2"}

    with folders() as where:
        virtual.run(main(where))


def test_tapes_of_one_second_are_listed_in_the_order_of_their_making() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes, file_tapes(where, seed=2) as there:
            ids = [f"chatcmpl-{number}" for number in (5, 3, 9, 1, 7)]
            for id in ids:
                await stored(tapes, id)
            await asyncio.sleep(0.001)
            await stored(there, "chatcmpl-0")
            for each in (tapes, there):
                assert await listed(each) == [*ids, "chatcmpl-0"]
        async with file_tapes(where, seed=3) as later:
            assert await listed(later) == [*ids, "chatcmpl-0"]

    with folders() as where:
        virtual.run(main(where))


def test_metadata_that_were_cut_short_are_ignored_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            await stored(tapes)
            (where[0] / "metadata" / "chatcmpl-1").write_bytes(b'{"a":')
            assert (await opened(tapes)).metadata == {"a": "1"}
            assert await listed(tapes) == ["chatcmpl-1"]
        assert len([record for record in caplog.records if "metadata" in record.getMessage()]) == 1

    with folders() as where, caplog.at_level(logging.WARNING):
        virtual.run(main(where))


def test_what_is_no_entry_of_a_list_is_passed_over() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            await stored(tapes)
            (folder,) = (where[0] / "stored").iterdir()
            (folder / "README").write_text("x")
            (folder / "soon-chatcmpl-2").write_text("x")
            await asyncio.sleep(100)
            assert await listed(tapes) == ["chatcmpl-1"]
            assert (folder / "README").exists()

    with folders() as where:
        virtual.run(main(where))


def test_the_tape_of_a_newer_riverrun_is_left_out_of_lists_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            for number in (1, 2):
                await stored(tapes, f"chatcmpl-{number}")
        make_newer(where[0], "chatcmpl-1", store=True)
        async with file_tapes(where, seed=2) as tapes:
            for _ in range(2):
                assert await listed(tapes) == ["chatcmpl-2"]
        assert len(list((where[0] / "stored").rglob("*-chatcmpl-1"))) == 1
        assert len([record for record in caplog.records if "chatcmpl-1" in record.getMessage()]) == 1

    with folders() as where, caplog.at_level(logging.WARNING):
        virtual.run(main(where))


def test_a_newer_tape_can_be_deleted_by_the_tenant_in_whose_list_it_is() -> None:
    async def main(where: Where) -> None:
        async with file_tapes(where) as tapes:
            await stored(tapes)
        make_newer(where[0], "chatcmpl-1", store=True)
        make_newer(where[0], "chatcmpl-2", store=False)
        async with file_tapes(where, seed=2) as tapes:
            for tenant, id in (("other", "chatcmpl-1"), ("acme", "chatcmpl-2")):
                with pytest.raises(Failure) as raised:
                    await tapes.delete(tenant, id)
                assert raised.value.status == 404
            assert len(list((where[0] / "ended").iterdir())) == 2
            await tapes.delete("acme", "chatcmpl-1")
            assert [path.stem for path in (where[0] / "ended").iterdir()] == ["chatcmpl-2"]
            assert await tapes.open("acme", "chatcmpl-1") is None
        assert not list((where[0] / "stored").rglob("*chatcmpl*"))

    with folders() as where:
        virtual.run(main(where))
