"""The shapes of a Cohere v2 answer, as far as the reader looks into it. Text and arguments stay `msgspec.Raw`.

An event's `delta.message` holds what a whole answer's `message` holds, one thing at a time and not in a list.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from riverrun.wire.jsonvalue import JsonObject

ABSENT = Raw()


class Block(msgspec.Struct):
    """A piece of content: text, or thinking."""

    text: Raw = ABSENT
    thinking: Raw = ABSENT


class CalledFunction(msgspec.Struct):
    name: str | None = None
    arguments: Raw = ABSENT


class Call(msgspec.Struct):
    """A tool call, or more arguments of one."""

    id: str | None = None
    function: CalledFunction = msgspec.field(default_factory=CalledFunction)


class Source(msgspec.Struct):
    """What a citation cites: a document of the request, or a tool's result."""

    id: str | None = None
    document: JsonObject | None = None


class Citation(msgspec.Struct):
    """A stretch of the text, in characters, and its sources."""

    start: int = 0
    end: int = 0
    sources: list[Source] = []
    type: str | None = None


class Message(msgspec.Struct):
    content: Block | list[Block] | str | None = None
    tool_plan: Raw = ABSENT
    tool_calls: Call | list[Call] | None = None
    citations: Citation | list[Citation] | None = None


class Tokens(msgspec.Struct):
    """Counts, which are floats."""

    input_tokens: float | None = None
    output_tokens: float | None = None


class UsagePart(msgspec.Struct):
    tokens: Tokens | None = None
    billed_units: Tokens | None = None
    cached_tokens: float | None = None


class Delta(msgspec.Struct):
    message: Message | None = None
    finish_reason: str | None = None
    usage: UsagePart | None = None


class Said(msgspec.Struct):
    """One event; `index` numbers content blocks and tool calls, each on their own."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None


class Whole(msgspec.Struct):
    """An answer in one piece."""

    message: Message
    finish_reason: str
    usage: UsagePart | None = None


event = msgspec.json.Decoder(Said).decode
whole = msgspec.json.Decoder(Whole).decode
