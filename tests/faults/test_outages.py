"""A target that is down for a while: nobody hammers it, everybody is answered, and it is found well again."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import memory_net
from tests.faults.recipes import refused, well
from tests.faults.scene import Scene, Seen, Side, scene

DOWN = refused("503 Unavailable")


def outage(first: Side, fallback: Side | None, seconds: float = 150.0, every: float = 1.0) -> list[Seen]:
    """One request a second."""

    async def main() -> list[Seen]:
        out = []
        async with scene(first, *([fallback] if fallback else [])) as played:
            for _ in range(int(seconds / every)):
                out.append(await played.ask(stream=True))
                await asyncio.sleep(every)
        return out

    return memory_net.run(main())


def test_a_minute_of_503_with_a_fallback_that_is_well() -> None:
    first, fallback = Side([DOWN, well], outage=60.0), Side([well])
    every = outage(first, fallback)
    assert all(seen.whole for seen in every)
    during = [at for at in first.times if at < 60.0]
    assert len(during) <= 10, "it was hammered"
    assert max(seen.gap for seen in every) < 0.5, "somebody waited for a target that is known to be down"
    back = min(at for at in first.times if at >= 60.0)
    assert back <= 60.0 + 60.0
    assert all(b - a < 1.1 for a, b in zip(first.times[-20:], first.times[-19:], strict=False)), "it is not used again"


def test_an_outage_over_tcp() -> None:
    """Sixty seconds are 1.2, and a client asks every tenth of one; the breaker's own times are not scaled."""

    async def main() -> None:
        first, fallback = Side([DOWN, well], 0.02, outage=60.0), Side([well], 0.02, facts={"prefill": True})
        async with scene(first, fallback, scale=0.02) as played:
            for _ in range(20):
                assert (await played.ask(stream=True)).whole
                await asyncio.sleep(0.1)
            assert len(first.times) <= 10

    asyncio.run(main())


def test_a_minute_of_503_alone() -> None:
    first = Side([DOWN, well], outage=60.0)
    every = outage(first, None)
    assert not any(seen.false_success or seen.wrong_bytes for seen in every)
    assert len(first.times) <= 2 * len(every)
    told = [seen for seen in every if not seen.whole]
    assert {seen.capture.status for seen in told} == {502}
    assert {seen.error["code"] for seen in told} == {"upstream_error"}
    assert all(seen.whole for seen in every[61:])


def test_a_fallback_that_was_down_is_found_well_again_when_it_is_needed() -> None:
    """While the first target answers, looking at the fallback's breaker is not a probe of it."""

    async def main() -> None:
        busy = refused("429 Too Many")
        first = Side([*[busy] * 5, *[well] * 20, DOWN])
        fallback = Side([*[DOWN] * 5, well])
        async with scene(first, fallback, retries=0) as played:
            for number in range(5):
                assert not (await played.ask(stream=True)).whole, number
            for _ in range(20):
                await asyncio.sleep(3.0)
                assert (await played.ask(stream=True)).whole
            seen = await played.ask(stream=True)
            assert seen.whole, seen.capture
            assert seen.asks[1] == 6

    memory_net.run(main())


def test_a_client_that_leaves_during_the_probe_keeps_nobody_away() -> None:
    async def left(played: Scene) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.0):
                await played.ask(stream=True)

    async def main() -> None:
        first, fallback = Side([*[DOWN] * 5, lambda moment: well(moment)._replace(steps=(20.0,)), well]), Side([well])
        async with scene(first, fallback, retries=0) as played:
            for _ in range(5):
                assert (await played.ask(stream=True)).whole
            await asyncio.sleep(10.0)
            await left(played)
            await asyncio.sleep(10.0)
            before = played.asks
            assert (await played.ask(stream=True)).whole
            assert (played.asks[0] - before[0], played.asks[1] - before[1]) == (1, 0)

    memory_net.run(main())
