"""How long a target may take: what is usual, what the operator says, and what a request asks for."""

from __future__ import annotations

import msgspec

from riverrun.config import DeadlinesConfig, Duration
from riverrun.routing.target import Deadlines, Target
from riverrun.wire.request import Chat

HOSTED = Deadlines(connect=5.0, first_token=30.0, idle=15.0, total=600.0)
THINKING = Deadlines(connect=5.0, first_token=300.0, idle=120.0, total=1800.0)
"""For targets and requests that think before they speak: minutes without a word are no fault there."""

SHALLOW = (None, "none", "minimal")
"""The `reasoning_effort`s with which a model answers about as soon as without any."""


def given(usual: Deadlines, *settings: DeadlinesConfig) -> Deadlines:
    """The usual ones with what the operator says in their place, the last word counting."""
    for each in settings:
        written = {name: value for name, value in msgspec.structs.asdict(each).items() if isinstance(value, Duration)}
        usual = msgspec.structs.replace(usual, **{name: value.limit for name, value in written.items()})
    return usual


def patient(targets: list[Target], chat: Chat) -> list[Target]:
    """The targets with the deadlines that hold for this request."""
    if chat.request.reasoning_effort in SHALLOW:
        return targets
    return [
        target if target.thinking is None else msgspec.structs.replace(target, deadlines=target.thinking)
        for target in targets
    ]
