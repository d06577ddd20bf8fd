"""Every recipe in every arrangement: what the client sees, byte for byte, and how often each upstream was asked."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from riverrun.conformance import failures, judge
from riverrun.conformance.reading import items, mapping, text
from tests.faults import memory_net
from tests.faults.recipes import ARRANGEMENTS, RECIPES, Arrangement, Must, Recipe
from tests.faults.scene import RETRIES, Seen
from tests.faults.tries import over_tcp, tried

FINAL = ("context_length_exceeded", "content_policy_violation", "upstream_auth_error")
"""Errors that asking again does not mend."""
recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
arrangements = pytest.mark.parametrize("arrangement", ARRANGEMENTS)


def check(seen: Seen, must: Must) -> None:
    asks = must.asks
    assert not seen.false_success
    assert not seen.wrong_bytes
    if must.code:
        assert seen.error["code"] == must.code
        assert seen.capture.status == (200 if must.streamed and seen.reading.streamed else must.status)
        assert seen.capture.ended == ("cut" if seen.capture.status == 200 else "complete")
        attempts = items(mapping(seen.error["riverrun"])["attempts"])
        told = Counter(text(mapping(each)["target"]) for each in attempts)
        assert told == ({} if must.status == 400 else Counter({"target-1": asks[0], "target-2": asks[1]}))
        assert seen.capture.header("x-should-retry") in ("", "false" if must.code in FINAL else "true")
    else:
        assert seen.whole, seen.capture
    assert not failures(judge(seen.capture), "must")


@recipes
@arrangements
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_on_the_virtual_clock(recipe: Recipe, arrangement: Arrangement, stream: bool) -> None:
    must: Must = getattr(recipe, arrangement)
    every = memory_net.run(tried(recipe, arrangement, stream=stream))
    for seen in every:
        check(seen, must)
    assert every[-1].asks == must.asks[: len(every[-1].asks)]
    assert max(every[-1].asks) <= (RETRIES + 1) * recipe.requests


@pytest.fixture(scope="module")
def tcp() -> dict[tuple[str, Arrangement], list[Seen]]:
    """Every recipe in every arrangement over real sockets, its deadlines scaled down; many at once."""
    return asyncio.run(over_tcp([(recipe, arrangement) for recipe in RECIPES for arrangement in ARRANGEMENTS]))


@recipes
@arrangements
def test_over_tcp(recipe: Recipe, arrangement: Arrangement, tcp: dict[tuple[str, Arrangement], list[Seen]]) -> None:
    must: Must = getattr(recipe, arrangement)
    every = tcp[recipe.name, arrangement]
    for seen in every:
        check(seen, must)
    assert every[-1].asks == must.asks[: len(every[-1].asks)]


@pytest.mark.parametrize(
    ("name", "seconds"), [("429 for ever, Retry-After 7", "7"), ("429, Retry-After longer than the deadline", "60")]
)
def test_a_client_is_told_when_to_come_back(name: str, seconds: str) -> None:
    one = next(each for each in RECIPES if each.name == name)
    (seen,) = memory_net.run(tried(one, "alone"))
    assert seen.capture.header("retry-after") == seconds
