"""A model as clients name it: the targets that can answer for it, in order, and how its requests may be mended."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Literal

import msgspec

from riverrun.failures import Cause
from riverrun.routing.target import Target

Continue = Literal["same-model", "any", "never"]


class Weighted(msgspec.Struct, frozen=True):
    """A target and how often it comes first among its neighbours; weights are relative."""

    target: Target
    weight: float = 1.0


Tier = tuple[Weighted, ...]

Fallbacks = Mapping[Cause, tuple[Target, ...]]
"""By the cause of a failure before content: who is asked next, in place of the other targets."""


class Model(msgspec.Struct, frozen=True):
    """`tiers` are tried in order. `retries`: how often a target is asked again where nothing came back.

    `continues`: who may go on with a broken answer. `hedge_after`: seconds without content after which the next
    target is asked too (None: never). `whole_calls`: a tool call is passed on only once it is complete.
    """

    name: str
    tiers: tuple[Tier, ...]
    retries: int = 1
    continues: Continue = "same-model"
    hedge_after: float | None = None
    whole_calls: bool = False
    fallbacks: Fallbacks = {}

    @property
    def deterministic(self) -> frozenset[str]:
        """The names of the targets that say the same again."""
        return frozenset(each.target.name for tier in self.tiers for each in tier if each.target.deterministic)

    def order(self, random: Random) -> list[Target]:
        """All targets in the order in which one request tries them: each tier drawn by weight."""
        order: list[Target] = []
        for tier in self.tiers:
            if len(tier) == 1:
                order.append(tier[0].target)
            else:
                order += _drawn(list(tier), random)
        return order


def single(target: Target) -> Model:
    """A model with one target, under its own name."""
    return Model(target.name, ((Weighted(target),),))


def _drawn(tier: list[Weighted], random: Random) -> list[Target]:
    drawn: list[Target] = []
    while tier:
        (one,) = random.choices(tier, [each.weight for each in tier]) if len(tier) > 1 else tier
        tier.remove(one)
        drawn.append(one.target)
    return drawn
