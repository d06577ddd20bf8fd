"""How bytes become a chat completion request: decoded once, validated from what was decoded, checked for sense.

The typed request is converted from the untyped body that is carried on, never decoded a second time, so the two can't
disagree about a repeated key. What the API does not have stays in the body and is named.
"""

from __future__ import annotations

import msgspec

from riverrun.failures import Failure, bad_request
from riverrun.wire.consistency import contradiction
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.limits import Limits, load, refuse_over
from riverrun.wire.parameters import ChatRequest
from riverrun.wire.refusal import mismatch

__all__ = ["Chat", "ChatRequest", "parse_chat"]

PARAMETERS = frozenset(ChatRequest.__struct_fields__)


class Chat(msgspec.Struct, frozen=True):
    """A valid request: typed, and untyped as it was sent. `extra` names the top-level fields the API does not have."""

    request: ChatRequest
    body: dict[str, JsonValue]
    extra: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return self.request.model

    @property
    def stream(self) -> bool:
        return bool(self.request.stream)

    @property
    def n(self) -> int:
        return 1 if self.request.n is None else self.request.n

    @property
    def include_usage(self) -> bool:
        options = self.request.stream_options
        return options is not None and bool(options.include_usage)

    @property
    def include_obfuscation(self) -> bool:
        """Off unless it is asked for; the official API has it on (docs/architecture.md)."""
        options = self.request.stream_options
        return options is not None and bool(options.include_obfuscation)


def parse_chat(body: bytes, limits: Limits = Limits()) -> Chat:  # noqa: B008 - frozen
    """The request in a POST body. Raises Failure: 413 for its size, else 400 with the parameter and the rule."""
    value = load(body, limits)
    extra = () if PARAMETERS.issuperset(value) else tuple(name for name in value if name not in PARAMETERS)
    if extra and limits.strict:
        raise _unrecognized(extra)
    refuse_over(value, limits)
    try:
        request = msgspec.convert(value, ChatRequest)
    except msgspec.ValidationError:
        raise mismatch(value, ChatRequest) from None
    failure = contradiction(request)
    if failure is not None:
        raise failure
    return Chat(request, value, extra)


def _unrecognized(names: tuple[str, ...]) -> Failure:
    shown = ", ".join(name[:64] for name in names[:10])
    return bad_request(
        f"Unrecognized request argument{'s' if len(names) > 1 else ''} supplied: {shown}",
        names[0][:64] or None,
        "unknown_parameter",
    )
