"""An ask: one request on its way to one upstream call."""

from __future__ import annotations

import msgspec

from riverrun.wire.request import Chat


class Ask(msgspec.Struct, frozen=True):
    """What is asked, by whom, and which of our choices the answer fills.

    `choices[i]` is our number for the upstream's choice `i`, so a branch of a fan-out is an ask for one choice.
    `caller` names who waits (a tenant, or an address), for fairness. `created` is in Unix seconds.
    `prefill`: the answer's words so far, where the upstream is to go on with them. `repeatable`: the caller gave a
    seed, so the answer must not depend on what an engine happens to have cached.
    """

    chat: Chat
    id: str
    created: int
    caller: str
    choices: tuple[int, ...] = (0,)
    prefill: str = ""
    repeatable: bool = False
