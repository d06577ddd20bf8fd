"""A request in another language while it is written: what is said in it, and what is left out or refused.

For the languages that are not OpenAI's, whose requests are built anew. Every parameter that the caller set ends in one
of five ways: a step of the dialect says it, its row renames it, riverrun does it itself, it is a hint that is dropped
and named, or it is a 400 that names it. What nobody has thought of is therefore never lost in silence.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from riverrun.dialects.rows import Row
from riverrun.dialects.scales import scale
from riverrun.failures import Failure, bad_request
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.legacy import modern
from riverrun.stream.tools import Menu, menu
from riverrun.wire.jsonvalue import JsonValue

Body = dict[str, JsonValue]
R = TypeVar("R", bound=Row)

SAYS_NOTHING: Body = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "service_tier": "auto",
    "store": False,
    "verbosity": "medium",
}
"""Values that ask for what would happen anyway, on every upstream."""


class Draft(Generic[R]):
    """`body` is ours to change, the rest is only read: `sent` as the caller put it, `chat` in today's words.

    A path is a list of names joined by dots.
    """

    def __init__(self, ask: Ask, target: Target, row: R) -> None:
        self.sent = ask.chat.body
        self.chat = modern(ask.chat)
        self.request = self.chat.request
        self.choices = len(ask.choices)
        self.target = target
        self.row = row
        self.body: Body = {}
        self.dropped: list[str] = []
        self.menu: Menu | None = menu(self.chat)  # custom tools have no place in the stream's alphabet

    def put(self, path: str, value: JsonValue) -> None:
        """Says a value. An object is added to one that stands there already."""
        *parents, name = path.split(".")
        owner = self.body
        for parent in parents:
            inner = owner.setdefault(parent, {})
            assert isinstance(inner, dict)  # paths come from tables, and none leads through a value
            owner = inner
        there = owner.get(name)
        owner[name] = {**there, **value} if isinstance(there, dict) and isinstance(value, dict) else value

    def given(self, path: str) -> bool:
        """Whether something is said at that path."""
        owner: JsonValue = self.body
        for name in path.split("."):
            if not isinstance(owner, dict) or name not in owner:
                return False
            owner = owner[name]
        return True

    def drop(self, name: str) -> None:
        if name not in self.dropped:
            self.dropped.append(name)


def carry(draft: Draft[R], said: frozenset[str]) -> None:
    """Says the parameters that only have another name there; `said` are those that the dialect's steps say.

    Raises Failure (400) for a parameter that has no place there.
    """
    row = draft.row
    for name, value in draft.chat.body.items():
        if value is None or name in said or name in row.ours or SAYS_NOTHING.get(name) == value:
            continue
        extra = name in draft.chat.extra
        if name in row.rename and (not extra or name in row.extra):
            draft.put(row.rename[name], value)
        elif extra and name in row.extra:
            draft.put(name, value)
        elif extra or name in row.dropped:
            if name in draft.sent:
                draft.drop(name)
        else:
            raise unsupported(name, draft.target)
    for name, number in draft.target.sampling:
        if draft.chat.body.get(name) is None:
            draft.put(row.rename.get(name, name), number)


def effort(draft: Draft[R]) -> Body | None:
    """What the model is told about thinking, empty where the caller did not say; None where it can't be told."""
    wanted, known = draft.request.reasoning_effort, scale(draft.row.dialect, draft.target.model)
    if known is not None and wanted is None:
        return {}
    if known is None or wanted not in known:
        if wanted is not None:
            draft.drop("reasoning_effort")
        return None
    return dict(known[wanted])


def encoded(draft: Draft[R]) -> bytes:
    """The finished request."""
    for path, value in draft.row.constants.items():
        draft.put(path, value)
    return msgspec.json.encode(draft.body)


def unsupported(param: str, target: Target) -> Failure:
    message = f"Unsupported parameter: '{param}' is not supported with the model '{target.name}'. Please leave it out."
    return bad_request(message, param, "unsupported_parameter")


def invalid(param: str, why: str) -> Failure:
    return bad_request(f"Invalid '{param}': {why}.", param, "invalid_value")
