"""Where the scenarios that all kinds of tapes share are played, and what they say to tapes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from riverrun.tapes.contract import Listener, OwnTape, Taken, Tape, Tapes
from riverrun.tapes.retention import Retention
from riverrun.wire.sse import frame
from tests.tapes.reader import Ears, Reader, head

KEY, OTHER_KEY = "a" * 64, "b" * 64
DIGEST = "d" * 64


@dataclass
class Setting:
    """`passes` lets so many seconds pass, as far as the tapes know. `break_writes` makes each further write of `here`
    fail as a full or dead storage would; None where nothing can fail."""

    here: Tapes
    there: Tapes
    passes: Callable[[float], Awaitable[None]]
    break_writes: Callable[[], None] | None = None


Scenario = Callable[[Setting], Awaitable[None]]


class Nobody:
    """An adopter for tests in which nobody dies."""

    draining = False

    def adopt(self, tape: OwnTape) -> Listener:
        raise AssertionError(f"{tape.head.id} was adopted, but its owner lives")


async def own(tapes: Tapes, id: str = "chatcmpl-1", listener: Listener | None = None, **more: object) -> OwnTape:
    tape = await tapes.create(head(id, **more), listener or Ears())  # type: ignore[arg-type]  # as `head`
    assert not isinstance(tape, Taken)
    return tape


async def opened(tapes: Tapes, id: str = "chatcmpl-1", tenant: str = "acme") -> Tape:
    tape = await tapes.open(tenant, id)
    assert tape is not None
    return tape


async def written(tape: OwnTape) -> None:
    """Waits until everything that was appended may be read."""
    await Reader().on(tape).until(tape.written)


def expected(payloads: list[bytes], after: int = 0) -> bytes:
    return b"".join(frame(number, payload) for number, payload in enumerate(payloads, 1) if number > after)


class TapesScenarios:
    """`run` runs a scenario to its end, on a loop of the kind's choice."""

    def run(self, scenario: Scenario, retention: Retention | None = None, largest: int | None = None) -> None:
        raise NotImplementedError
