"""The rows X3: twenty readers of one stream, who come, read at a pace of their own, leave and return."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from random import Random

from tests.faults import memory_net
from tests.faults.compared import asked_once, outcome
from tests.faults.house import Speaker, house
from tests.faults.lines import EVENTS, POST, Got, ask, at, chat, nowhere
from tests.faults.rows import Outcome, Row

READERS = 20
STREAMS = 100
WORDS = 80
ASKS = {"x-riverrun-on-disconnect": "grace"}
LARGE = 3000
"""Bytes of a word, so that a reader who stalls holds more than its connection does."""


def rows() -> Iterator[Row]:
    what = f"{READERS} readers of one stream come, stall, leave and return"
    small, large = partial(_played, 0), partial(_played, LARGE)
    yield Row("X3", f"{what}; small events", STREAMS * READERS, small, in_suite=5 * READERS)
    yield Row("X3", f"{what}; events of {LARGE} bytes", STREAMS // 4 * READERS, large, in_suite=READERS)


def _played(padding: int, n: int) -> Iterator[Outcome]:
    """A try is a reader; `n` of them, a stream each for twenty."""
    away = 0
    for seed in range(-(-n // READERS)):
        outcomes, every = memory_net.run(one(padding, Random(f"{padding} {seed}")))
        away += sum(not (got.clean or got.left or got.status == 204) for parts in every for got in parts)
        note = f"{away} times a reader was too slow and was sent away" if away else ""
        yield from (each._replace(note=note) for each in outcomes)


async def one(padding: int, random: Random) -> tuple[list[Outcome], list[list[Got]]]:
    words = [f"Wort {number} 川 ".ljust(padding, "·") for number in range(WORDS)]
    speaker = Speaker(words, pace=random.choice((0.02, 0.5, 2.0)))
    length = speaker.pace * WORDS
    async with house(speaker, seed=random.randrange(2**32)) as port:
        place: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        seeds = [Random(random.random()) for _ in range(READERS)]
        first = asyncio.create_task(begun(port, place, seeds[0]))
        address = await place
        readers = [asyncio.create_task(reader(port, address, length, each)) for each in seeds[1:]]
        every = [await first, *await asyncio.gather(*readers)]
        tape = await ask(port, f"GET {address}", headers=EVENTS)
    broken = asked_once(speaker, "Tell.")
    if len({digest(parts) for parts in every} | {digest([tape])}) > 1:
        broken = broken or "the digests differ"
    return [outcome(parts, tape, {0: speaker.text}, broken) for parts in every], every


def digest(parts: list[Got]) -> str:
    """Of all events, without comments."""
    return sha256(b"".join(event for part in parts for event in part.events)).hexdigest()


async def begun(port: int, place: asyncio.Future[str], random: Random) -> list[Got]:
    """The reader who asks; it leaves once and returns."""
    leaves = at(random.randrange(400, 8000))

    def leaving(raw: bytes) -> int | None:
        if b"\r\n\r\n" in raw and not place.done():
            place.set_result(raw.split(b"location: ")[1].partition(b"\r\n")[0].decode())
        return leaves(raw)

    first = await ask(port, POST, chat(stream=True), ASKS, leaving)
    return await _returning(port, [first], random, random.randrange(3))


async def reader(port: int, place: str, length: float, random: Random) -> list[Got]:
    """One that comes while the answer runs, or after it."""
    await asyncio.sleep(random.uniform(0.0, 1.2 * length))
    empty = Got(b"", True, 0, {"location": place}, b"", False, [], [])
    parts = await _returning(port, [empty], random, 1 + random.randrange(5))
    return parts[1:]


async def _returning(port: int, parts: list[Got], random: Random, visits: int) -> list[Got]:
    """So many times it leaves again; then it stays."""
    place = {"location": parts[0].place}
    for visit in range(visits, -1, -1):
        if parts[-1].clean or parts[-1].status == 204:
            break
        await asyncio.sleep(random.choice((0.0, 0.1, 5.0)))
        stalls = (random.randrange(300, 20_000), random.choice((0.3, 5.0, 45.0))) if random.random() < 0.5 else None
        leaves = at(random.randrange(1, 30_000)) if visit else nowhere
        so_far = [event for part in parts for event in part.events]
        named = {**EVENTS, **({"last-event-id": str(len(so_far))} if so_far else {})}
        got = await ask(port, f"GET {place['location']}", headers=named, place=leaves, stalls=stalls)
        parts.append(got)
    while not (parts[-1].clean or parts[-1].status == 204):  # it was too slow, and was sent away
        so_far = [event for part in parts for event in part.events]
        parts.append(await ask(port, f"GET {place['location']}", headers={**EVENTS, "last-event-id": str(len(so_far))}))
    return parts
