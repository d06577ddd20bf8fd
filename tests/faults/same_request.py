"""The rows X14: one request sent fifty times under one idempotency key: at once, after its end, after a crash; and
another body under the same key."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random

from tests.faults import memory_net
from tests.faults.compared import asked_once, completion, outcome
from tests.faults.house import Speaker, house
from tests.faults.lines import EVENTS, POST, Got, ask, chat
from tests.faults.replicas import killed, replica
from tests.faults.rows import Outcome, Row
from tests.faults.speech import ANSWER
from tests.upstreams import serve

TIMES = 50
SEEDS = 40
CRASHES = 4
KEY = {"idempotency-key": "the-one"}
TRUE = {0: ANSWER}

Scene = Callable[[int, Random], Coroutine[object, object, list[Outcome]]]


def rows() -> Iterator[Row]:
    at_once, later = partial(_played, together), partial(_played, afterwards)
    yield Row("X14", f"{TIMES} at once, streams and whole answers", TIMES * SEEDS, at_once, in_suite=3 * TIMES)
    yield Row("X14", f"{TIMES} after its end", TIMES * SEEDS, later, in_suite=2 * TIMES)
    others = partial(_played, another_body)
    yield Row("X14", "another body, while it runs and after its end", TIMES * SEEDS, others, True, TIMES)
    for when, words in (("after its end", 0), ("in its middle; nobody can go on with it", 3)):
        what = f"{TIMES} after a SIGKILL of the server {when}, and its restart; tapes in files"
        yield Row("X14", what, TIMES * CRASHES, partial(_crashed, words), bool(words), in_suite=TIMES)


def _played(scene: Scene, n: int) -> Iterator[Outcome]:
    """A try is one request; `n` of them, `TIMES` on each server."""
    for seed in range(-(-n // TIMES)):
        yield from memory_net.run(scene(min(TIMES, n - seed * TIMES), Random(f"{scene.__name__} {seed}")))


async def together(times: int, random: Random) -> list[Outcome]:
    """All at one moment, or within the answer's own time."""
    speaker = Speaker(pace=random.choice((0.0, 0.01, 1.0)))
    within = random.choice((0.0, 8 * speaker.pace))
    async with house(speaker, seed=random.randrange(2**32)) as port:
        streams = [random.random() < 0.7 for _ in range(times)]
        streams[0] = True
        every = await asyncio.gather(*(_after(random.uniform(0.0, within), port, stream) for stream in streams))
        return await judged(port, speaker, every, streams)


async def afterwards(times: int, random: Random) -> list[Outcome]:
    speaker = Speaker()
    async with house(speaker, seed=random.randrange(2**32)) as port:
        await _after(0.0, port, stream=random.random() < 0.5)
        await asyncio.sleep(random.choice((0.0, 60.0, 3600.0)))
        streams = [at == 0 or random.random() < 0.7 for at in range(times)]
        every = await asyncio.gather(*(_after(random.random(), port, stream) for stream in streams))
        outcomes = await judged(port, speaker, every, streams)
        silent = [got.headers.get("idempotent-replayed") != "true" for got in every]
        return [
            each._replace(broken=each.broken or "it is not marked as replayed") if bad else each
            for each, bad in zip(outcomes, silent, strict=True)
        ]


async def another_body(times: int, random: Random) -> list[Outcome]:
    """The first one gets its answer all the same."""
    speaker = Speaker(pace=random.choice((0.01, 1.0)))
    async with house(speaker, seed=random.randrange(2**32)) as port:
        first = asyncio.create_task(_after(0.0, port, stream=True))
        await asyncio.sleep(random.choice((0.001, 3 * speaker.pace, 20.0)))
        others = [chat(f"Tell {number}.", stream=random.random() < 0.5) for number in range(times - 1)]
        refused = await asyncio.gather(*(ask(port, POST, other, KEY) for other in others))
        own = await judged(port, speaker, [await first], [True])
        return [*own, *map(_refused, refused)]


def _refused(got: Got) -> Outcome:
    error = got.json.get("error")
    assert isinstance(error, dict)
    right = (got.status, error["code"]) == (422, "idempotency_key_reused")
    return Outcome(False, right, broken="" if right else f"{got.status} {error['code']}")


async def _after(seconds: float, port: int, stream: bool) -> Got:
    if seconds:
        await asyncio.sleep(seconds)
    return await ask(port, POST, chat(stream=stream), KEY)


async def judged(port: int, speaker: Speaker, every: Sequence[Got], streams: Sequence[bool]) -> list[Outcome]:
    """All are the same answer, which the upstream gave once."""
    tape = await ask(port, f"GET {every[0].place}", headers=EVENTS)
    broken = asked_once(speaker, "Tell.")
    if len({got.place for got in every}) > 1 or len(speaker.calls) > 1:
        broken = broken or "they are several answers"
    return [
        outcome([got], tape, TRUE, broken) if stream else completion(got, TRUE, broken)
        for got, stream in zip(every, streams, strict=True)
    ]


# After a crash


def _crashed(words: int, n: int) -> Iterator[Outcome]:
    """The server dies when the answer has come to so many words; 0: when it is over."""
    for number in range(-(-n // TIMES)):
        with tempfile.TemporaryDirectory() as folder:
            yield from asyncio.run(_crash(words, number, Path(folder)))


async def _crash(words: int, number: int, folder: Path) -> list[Outcome]:
    speaker = Speaker(pace=0.002)
    if words:
        speaker.gates[1 + number % 3 + words] = asyncio.Event()
    tapes = f"file:{folder}/tapes"
    async with serve(upstream=speaker):
        async with replica(folder, speaker.base_url, tapes, prefill="none") as server:
            before = await ask(server.port, POST, chat(stream=True), KEY, _at_event(words))
            await killed(server)
        async with replica(folder, speaker.base_url, tapes, prefill="none") as server:
            every = await asyncio.gather(*(_after(0.0, server.port, stream=True) for _ in range(TIMES)))
            whole = [] if words else await judged(server.port, speaker, every, [True] * TIMES)
            outcomes = whole or _told(speaker, before, every)
            other = _refused(await ask(server.port, POST, chat("Tell another."), KEY))
            return [each._replace(broken=each.broken or other.broken) for each in outcomes]


def _at_event(words: int) -> Callable[[bytes], int | None]:
    mark = b"id: %d\n" % (words + 1)
    return lambda raw: len(raw) if words and mark in raw and raw.endswith(b"\n\r\n") else None


def _told(speaker: Speaker, before: Got, every: Sequence[Got]) -> list[Outcome]:
    """Each is told the same: what the first client had, and that it is over."""
    broken = asked_once(speaker, "Tell.")
    if len({b"".join(got.events) for got in every}) > 1:
        broken = broken or "they differ"
    return [_error(before, got, broken) for got in every]


def _error(before: Got, got: Got, broken: str) -> Outcome:
    has = got.events[: len(before.events)]
    wrong = 0 if has == before.events else len(b"".join(before.events))
    told = b'data: {"error"' in got.events[-1] and not got.clean
    return Outcome(False, told, wrong, got.done or got.clean, broken=broken)
