"""The whole answer, `chat.completion`: what a caller gets who did not ask for a stream."""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.wire.chunk import ChoiceLogprobs, CompletionUsage
from riverrun.wire.jsonvalue import JsonObject


class FunctionCall(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True):
    id: str
    type: Literal["function"]
    function: FunctionCall


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The assistant's message. `refusal` and `annotations` are always sent, as the official API does."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[JsonObject]
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[JsonObject] | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: JsonObject | None = None


class Choice(msgspec.Struct, frozen=True):
    index: int
    message: Message
    logprobs: ChoiceLogprobs | None
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, folded from the chunks of its stream."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage | None
    service_tier: str | msgspec.UnsetType | None = msgspec.UNSET
    system_fingerprint: str | None
