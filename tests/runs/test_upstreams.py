"""What this process remembers of its targets."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from riverrun.backends.scripted import Scripted
from riverrun.failures import Cause, Failure
from riverrun.routing.breaker import Limits
from riverrun.routing.target import Target
from riverrun.runs import upstreams
from riverrun.runs.upstreams import Upstreams

DOWN = Failure(Cause.UPSTREAM_ERROR, "x")
A = Target("a/q", "q", "http://a/v1", "compatible", key="one")
LOCAL = Target("tiny", "tiny", "", "engine")


def known() -> Upstreams:
    return Upstreams({"engine": Scripted(lambda ask: ()), "": Scripted(lambda ask: ())})


def broken(these: Upstreams, target: Target) -> None:
    for _ in range(Limits().failures):
        these.judged(target, DOWN)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"row": "other", "context": 7}, True),  # whatever a new configuration says of it
        ({"key": "two"}, False),
        ({"base_url": "http://b/v1"}, False),
        ({"name": "b/q"}, False),
    ],
)
def test_a_breaker_is_of_a_name_an_address_and_a_key(changes: dict[str, object], same: bool) -> None:
    async def scene() -> bool:
        these = known()
        broken(these, A)
        return these.state(msgspec.structs.replace(A, **changes)) == "open"

    assert asyncio.run(scene()) is same


def test_a_local_models_breaker_is_of_its_name_alone() -> None:
    async def scene() -> str:
        these = known()
        broken(these, msgspec.structs.replace(LOCAL, base_url="unix:/run/1.sock:/v1", key="of this start"))
        return these.state(LOCAL)

    assert asyncio.run(scene()) == "open"


def test_an_answer_closes_it() -> None:
    async def scene() -> set[str]:
        these = known()
        broken(these, A)
        assert these.admitted([A]) == set()
        these.judged(A, None)
        return these.admitted([A])

    assert asyncio.run(scene()) == {"a/q"}


def test_names_that_clients_make_up_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "MOST_BREAKERS", 3)

    async def scene() -> list[str]:
        these = known()
        targets = [msgspec.structs.replace(A, name=f"a/{number}") for number in range(5)]
        for target in targets:
            broken(these, target)
        return [these.state(target) for target in targets]

    assert asyncio.run(scene()) == ["closed", "closed", "open", "open", "open"]
