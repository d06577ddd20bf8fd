"""Which branches an ask becomes: one, or one per choice where an upstream can't give several at once."""

from __future__ import annotations

from random import Random

import msgspec

from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.wire.request import Chat

SEEDS = 2**31
"""Drawn seeds fit in 31 bits: every engine takes them, and none of them is a special value."""


def branches(ask: Ask, targets: list[Target], random: Random) -> list[Ask]:
    """The asks of an ask's branches, for any of `targets`. Together they fill each of its choices once.

    Where a target generates the same again from the same seed, a request without one gets one, so that its answer can
    be generated again; the choices of a fan-out get successive ones, or they would all say the same.
    """
    n = ask.chat.n
    seed = ask.chat.request.seed
    if seed is None:
        for target in targets:
            if target.draw_seed:
                seed = random.randrange(SEEDS)
                break
    elif not ask.repeatable:
        ask = msgspec.structs.replace(ask, repeatable=True)
    if n == 1 and seed == ask.chat.request.seed:  # nearly every request, as it is
        return [ask]
    if n == 1 or all(target.n == "native" for target in targets):
        return [msgspec.structs.replace(ask, chat=_seeded(ask.chat, seed), choices=tuple(range(n)))]
    return [
        msgspec.structs.replace(ask, chat=_seeded(ask.chat, None if seed is None else seed + index), choices=(index,))
        for index in range(n)
    ]


def _seeded(chat: Chat, seed: int | None) -> Chat:
    if seed is None or seed == chat.request.seed:
        return chat
    return msgspec.structs.replace(
        chat, request=msgspec.structs.replace(chat.request, seed=seed), body={**chat.body, "seed": seed}
    )
