"""The net for retries: which answer is lost, and who gets it."""

import asyncio

import pytest

from riverrun.failures import Cause, Failure
from riverrun.runs.retries import Retries
from riverrun.stream.flow import Cancelled, Ending, Finished, Refused
from riverrun.tapes.contract import Head
from riverrun.tapes.memory import MemoryTapes
from riverrun.tapes.retention import Retention
from riverrun.tapes.room import Room
from tests import virtual
from tests.tapes.contract import own
from tests.tapes.kept import in_memory
from tests.tapes.reader import head

DIGEST = "d" * 64


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def lost(tapes: MemoryTapes, id: str = "c1", key: str = "") -> Head:
    """An answer whose last reader has left."""
    tape = await own(tapes, id, digest=DIGEST, key=key)
    Retries(tapes).left(tape.head)
    await settled()
    return tape.head


async def joined(tapes: MemoryTapes, tenant: str = "acme", digest: str = DIGEST) -> str | None:
    tape = await Retries(tapes).joined(tenant, digest)
    return None if tape is None else tape.head.id


def test_the_newest_is_joined_and_once() -> None:
    async def main() -> None:
        tapes = in_memory()
        await lost(tapes, "c1")
        await lost(tapes, "c2")
        found = await asyncio.gather(*(joined(tapes) for _ in range(9)))
        assert [each for each in found if each] == ["c2"]

    virtual.run(main())


@pytest.mark.parametrize(("tenant", "digest"), [("other", DIGEST), ("acme", "e" * 64), ("acme d", DIGEST)])
def test_another_request_or_tenant(tenant: str, digest: str) -> None:
    async def main() -> None:
        tapes = in_memory()
        await lost(tapes)
        assert await joined(tapes, tenant, digest) is None
        assert await joined(tapes) == "c1"

    virtual.run(main())


def test_only_for_two_minutes() -> None:
    async def main() -> None:
        tapes = in_memory()
        await lost(tapes)
        await asyncio.sleep(121.0)
        assert await joined(tapes) is None

    virtual.run(main())


def test_one_with_a_key_is_found_by_its_key() -> None:
    async def main() -> None:
        tapes = in_memory()
        await lost(tapes, key="k" * 64)
        assert await joined(tapes) is None

    virtual.run(main())


def test_a_reader_that_is_back_takes_it_out() -> None:
    async def main() -> None:
        tapes = in_memory()
        old = await lost(tapes, "c1")
        await lost(tapes, "c2")
        retries = Retries(tapes)
        retries.returned(old)  # not the one that is noted
        await settled()
        assert await joined(tapes) == "c2"
        new = await lost(tapes, "c3")
        retries.returned(new)
        await settled()
        assert await joined(tapes) is None

    virtual.run(main())


@pytest.mark.parametrize(
    ("ending", "found"),
    [(Finished(), "c1"), (Cancelled(), None), (Refused(Failure(Cause.UPSTREAM_ERROR, "no")), None)],
    ids=["finished", "cancelled", "failed"],
)
def test_what_ended_badly_is_no_answer(ending: Ending, found: str | None) -> None:
    async def main() -> None:
        tapes = in_memory()
        tape = await own(tapes, "c1", digest=DIGEST)
        Retries(tapes).left(tape.head)
        await settled()
        tape.close(ending, None)
        assert await joined(tapes) == found

    virtual.run(main())


def test_one_that_is_no_longer_kept() -> None:
    async def main() -> None:
        tapes = MemoryTapes(Room(2**20, 2**20), Retention(ended=10.0))
        tape = await own(tapes, "c1", digest=DIGEST)
        Retries(tapes).left(tape.head)
        tape.close(Finished(), None)
        await asyncio.sleep(11.0)
        assert await joined(tapes) is None

    virtual.run(main())


class Away(MemoryTapes):
    def __init__(self) -> None:
        super().__init__(Room(2**20, 2**20), Retention())

    async def note(self, name: str, value: bytes, seconds: float) -> None:
        raise Failure(Cause.STORAGE, "away")

    async def noted(self, name: str) -> bytes | None:
        raise Failure(Cause.STORAGE, "away")


def test_tapes_that_are_away_cost_the_net_and_nothing_else() -> None:
    async def main() -> None:
        retries = Retries(Away())
        retries.left(head("c1", digest=DIGEST))
        retries.returned(head("c1", digest=DIGEST))
        await settled()
        assert await retries.joined("acme", DIGEST) is None

    virtual.run(main())
