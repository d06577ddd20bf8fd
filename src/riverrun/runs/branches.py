"""Which upstream calls an ask becomes: one, or one per choice where the upstream can't give several at once."""

from __future__ import annotations

from random import Random

import msgspec

from riverrun.dialects.rows import Row
from riverrun.stream.ask import Ask
from riverrun.wire.request import Chat

SEEDS = 2**31
"""Drawn seeds fit in 31 bits: every engine takes them, and none of them is a special value."""


def branches(ask: Ask, row: Row, random: Random) -> list[Ask]:
    """The asks of an ask's branches. Together they fill each of its choices once.

    Where the row says so, a request without a seed gets one, so that its answer can be generated again; the choices
    of a fan-out get successive ones, or they would all say the same.
    """
    n = ask.chat.n
    seed = ask.chat.request.seed
    if seed is None and row.draw_seed:
        seed = random.randrange(SEEDS)
    if n == 1 or row.n == "native":
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
