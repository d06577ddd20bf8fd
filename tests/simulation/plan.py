"""What happens in a world, drawn from its seed and nothing else: who serves, who asks what, and what goes wrong."""

from __future__ import annotations

from random import Random
from typing import Literal, NamedTuple

Kind = Literal["fine", "slow", "cut", "ended", "stall", "silent", "busy", "down", "error", "malformed"]
KINDS: tuple[Kind, ...] = (
    *("fine", "fine", "fine", "slow", "slow", "cut"),
    *("ended", "stall", "silent", "busy", "down", "error", "malformed"),
)
Verb = Literal["post", "again", "retry", "other body", "resume", "get", "cancel", "delete", "list", "foreign"]
LATER: tuple[Verb, ...] = (
    *("resume", "resume", "resume", "again", "again", "again", "get", "get"),
    *("retry", "other body", "cancel", "delete", "list", "foreign", "foreign"),
)
FOREIGN = ("get", "cancel", "delete", "resume", "again")
"""What another tenant tries with an id, or a key, that is not its own."""
TENANTS = ("acme", "umbra")
SOON = 6.0
"""Seconds in which all but the late steps begin; an answer takes about as long."""


class Behaviour(NamedTuple):
    """What an upstream does when it is asked: `kind`, after its event number `at`; `pace` is seconds an event."""

    kind: Kind
    at: int
    pace: float


class Side(NamedTuple):
    """An upstream: what it does the first time, the second, and from the last one on for ever. `counts`: it reports
    usage. `way`: how a broken answer goes on with it."""

    behaviours: tuple[Behaviour, ...]
    counts: bool
    way: Literal["", "deterministic", "prefill"]


class Asked(NamedTuple):
    """One request of a client. Its answer has so many words."""

    number: int
    tenant: str
    words: int
    stream: bool
    key: str = ""
    store: bool = False
    policy: str = ""
    usage: bool = False


class Leaving(NamedTuple):
    """How a client stops listening: at a byte of what it gets, or its line goes dead; or it is slow and stops not."""

    at_byte: int | None = None
    dead_after: float | None = None
    slow: float | None = None


class Step(NamedTuple):
    at: float
    verb: Verb
    asked: int
    replica: int
    leaving: Leaving
    part: float
    """Where a resume begins: this part of what was seen before it."""
    as_: str = ""
    """What a foreign step tries."""


class Fault(NamedTuple):
    """`kill` and `stop` last `seconds`, until the replica is started again; `full` until there is room."""

    at: float
    what: Literal["kill", "stop", "full"]
    replica: int
    seconds: float


class Plan(NamedTuple):
    seed: int
    replicas: int
    tapes: Literal["file", "memory"]
    room: int
    """Bytes of events in memory, beyond which they spill."""
    sides: tuple[Side, ...]
    retries: int
    net: bool
    """Whether retries without a key join the answer that they lost."""
    asked: tuple[Asked, ...]
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]


def drawn(seed: int) -> Plan:
    """The world of this seed."""
    random = Random(seed)
    replicas = random.choice((1, 2, 2, 3))
    tapes: Literal["file", "memory"] = "file" if replicas > 1 or random.random() < 0.4 else "memory"
    asked = tuple(_asked(random, number) for number in range(random.randint(1, 3)))
    steps = [Step(round(random.uniform(0, 1), 3), "post", each.number, 0, Leaving(), 1.0) for each in asked]
    steps += [_later(random, asked) for _ in range(random.randint(2, 7))]
    steps += [step._replace(replica=step.replica + 1) for step in steps if random.random() < 0.15]  # two at once
    return Plan(
        seed,
        replicas,
        tapes,
        random.choice((2**20, 2**20, 1500)),
        tuple(_side(random) for _ in range(random.randint(1, 3))),
        random.choice((0, 1)),
        random.random() < 0.3,
        asked,
        tuple(sorted((_placed(random, step, replicas) for step in steps[:10]), key=lambda step: step.at)),
        tuple(sorted(_fault(random, replicas) for _ in range(random.choice((0, 0, 1, 1, 2))))),
    )


def _side(random: Random) -> Side:
    behaviours = tuple(
        Behaviour(random.choice(KINDS), random.randint(0, 9), random.choice((0.0, 0.01, 0.1, 0.3)))
        for _ in range(random.randint(1, 4))
    )
    way = random.choice(("", "deterministic", "prefill"))
    return Side(behaviours, random.random() < 0.7, way)  # type: ignore[arg-type]  # one of its words


def _asked(random: Random, number: int) -> Asked:
    return Asked(
        number,
        random.choice(TENANTS),
        random.choice((0, 1, 5, 12, 30)),
        random.random() < 0.7,
        f"key-{random.randint(0, 1)}" if random.random() < 0.6 else "",
        random.random() < 0.2,
        random.choice(("", "", "cancel", "grace", "finish")),
        random.random() < 0.5,
    )


def _later(random: Random, asked: tuple[Asked, ...]) -> Step:
    verb = random.choice(LATER)
    late = random.choice((0.0, 0.0, 0.0, 0.0, 25.0, 80.0))
    at = round(late + random.uniform(0.2, SOON), 3)
    as_ = random.choice(FOREIGN) if verb == "foreign" else ""
    return Step(at, verb, random.choice(asked).number, 0, Leaving(), random.choice((0.0, 0.5, 1.0, 1.0, 1.3)), as_)


def _placed(random: Random, step: Step, replicas: int) -> Step:
    return step._replace(replica=(step.replica + random.randrange(replicas)) % replicas, leaving=_leaving(random))


def _leaving(random: Random) -> Leaving:
    how = random.choice(("", "", "", "byte", "byte", "dead", "slow"))
    return Leaving(
        random.randint(1, 4000) if how == "byte" else None,
        round(random.uniform(0.05, 3.0), 3) if how == "dead" else None,
        round(random.uniform(0.05, 3.0), 3) if how == "slow" else None,
    )


def _fault(random: Random, replicas: int) -> Fault:
    what = random.choice(("kill", "kill", "kill", "full", "full", "stop"))
    at, seconds = round(random.uniform(0.1, SOON), 3), round(random.choice((0.1, 1.0, 5.0)) * random.uniform(0.5, 2), 3)
    return Fault(at, what, random.randrange(replicas), seconds)  # type: ignore[arg-type]  # one of its words
