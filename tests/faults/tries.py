"""Recipes played: what came of each request, on either clock."""

from __future__ import annotations

import asyncio

from tests.faults.recipes import FALLBACKS, Arrangement, Recipe
from tests.faults.scene import Seen, Side, scene


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
