"""Recipes played: what came of each request, on either clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.faults.recipes import FALLBACKS, Arrangement, Recipe
from tests.faults.scene import Seen, Side, scene

SCALE = 0.02
"""Over real sockets a deadline of 30 s is one of 0.6 s."""

AT_ONCE = 8
"""Recipes that run beside each other in one loop: few enough that none waits for the others' bytes."""


def sides(recipe: Recipe, arrangement: Arrangement, scale: float) -> list[Side]:
    """The first target misbehaves; the fallback, where there is one, serves the same model and takes a prefill."""
    first = Side(recipe.answers, scale, facts=recipe.facts)
    fallback = FALLBACKS[arrangement]
    return [first] if fallback is None else [first, Side((fallback,), scale, facts={"prefill": True, **recipe.other})]


async def tried(
    recipe: Recipe, arrangement: Arrangement, *, scale: float = 1.0, seed: int = 1, stream: bool = True
) -> list[Seen]:
    """All requests of a recipe, in order."""
    out = []
    usage: dict[str, object] = {"stream_options": {"include_usage": True}} if stream else {}
    async with scene(*sides(recipe, arrangement, scale), scale=scale, seed=seed) as played:
        for number in range(recipe.requests):
            await asyncio.sleep(recipe.every * scale if number else 0.0)
            out.append(await played.ask(stream=stream, **usage))
    return out


async def over_tcp(chosen: Sequence[tuple[Recipe, Arrangement]]) -> dict[tuple[str, Arrangement], list[Seen]]:
    """These recipes in these arrangements over real sockets, each once, by their names."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(recipe: Recipe, arrangement: Arrangement) -> list[Seen]:
        async with room:
            return await tried(recipe, arrangement, scale=SCALE)

    every = await asyncio.gather(*(one(*each) for each in chosen))
    return {(recipe.name, arrangement): seen for (recipe, arrangement), seen in zip(chosen, every, strict=True)}
