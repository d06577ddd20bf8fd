"""Two upstreams race for the first word, over the network in memory and over TCP: one wins, and both are accounted."""

from __future__ import annotations

import asyncio

import pytest

from riverrun.conformance import failures, judge
from riverrun.conformance.reading import items, mapping, text
from riverrun.store.contract import Settled
from tests.faults import memory_net
from tests.faults.hedges import FIRST, RACES, Race
from tests.faults.scene import Seen, Side, scene

TCP_SCALE = 0.1
"""A busy machine may take a moment for each step; the races are won by more than that."""

RUN = [race for race in RACES if race.name != "nobody is asked beside one that answers in time"]
"""Those over TCP: that a time did not pass can't be shown on a clock that is not ours."""

races = pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
ANSWERED = (5, 9, "provider")
"""What a whole answer cost, as its upstream says."""


async def run(race: Race, scale: float = 1.0, *, stream: bool = True) -> tuple[Seen, list[Settled]]:
    """The race, once everybody whose answer was not wanted has seen its connection closed."""
    sides = [Side((answer,), scale) for answer in race.sides]
    async with scene(*sides, scale=scale, retries=race.retries, mended=race.mended) as played:
        seen = await played.ask(stream=stream)
        for side, left in zip(sides, race.left, strict=True):
            await side.gone(left)
            assert side.left == left
        rows = played.ledger
        assert [(row.number, row.target) for row in rows.attempted] == list(
            enumerate((name for name, _ in race.calls), 1)
        )
        assert len(rows.reserved) == 1
        return seen, sorted(rows.settled, key=lambda row: row.number)


def check(race: Race, seen: Seen, settled: list[Settled]) -> None:
    assert not seen.false_success
    assert not seen.wrong_bytes
    assert seen.whole == (not race.told), seen.capture
    attempts = [mapping(each) for each in items(mapping(seen.error.get("riverrun")).get("attempts"))]
    assert tuple((text(each["target"]), text(each["cause"])) for each in attempts) == race.told
    assert seen.asks == tuple(
        sum(name == f"target-{number}" for name, _ in race.calls) for number, _ in enumerate(race.sides, 1)
    )
    assert [row.number for row in settled] == [*range(1, len(race.calls) + 1)], "exactly one row for each call"
    assert [row.ending for row in settled] == [ending for _, ending in race.calls]
    for row in settled:
        cost = (row.prompt_tokens, row.completion_tokens, row.source)
        if row.ending == "finished":
            assert cost == ANSWERED
        elif row.ending in ("cancelled", "upstream_timeout"):
            assert cost == (0, 0, "counted"), "it had said nothing"
    assert not failures(judge(seen.capture), "must")


@races
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_on_the_virtual_clock(race: Race, stream: bool) -> None:
    seen, settled = memory_net.run(run(race, stream=stream))
    check(race, seen, settled)


@pytest.fixture(scope="module")
def tcp() -> dict[str, tuple[Seen, list[Settled]]]:
    async def main() -> dict[str, tuple[Seen, list[Settled]]]:
        every = await asyncio.gather(*(run(race, TCP_SCALE) for race in RUN))
        return {race.name: one for race, one in zip(RUN, every, strict=True)}

    return asyncio.run(main())


@pytest.mark.parametrize("race", RUN, ids=lambda race: race.name)
def test_over_tcp(race: Race, tcp: dict[str, tuple[Seen, list[Settled]]]) -> None:
    check(race, *tcp[race.name])


def test_the_next_request_finds_everything_as_before() -> None:
    """The loser's slot and breaker are free: a second request goes through the same race, and the loser may win it."""

    async def main() -> None:
        race = next(each for each in RACES if "the second wins" in each.name)
        sides = [Side((race.sides[0], race.sides[1])), Side((race.sides[1],))]
        async with scene(*sides, retries=0, mended=race.mended) as played:
            assert (await played.ask(stream=True)).asks == (1, 1)
            await sides[0].gone(1)
            seen = await played.ask(stream=True)
            assert (seen.whole, seen.asks) == (True, (2, 1))
            assert [row.ending for row in played.ledger.settled] == ["cancelled", "finished", "finished"]
            assert played.ledger.attempted[-1].target == FIRST

    memory_net.run(main())
