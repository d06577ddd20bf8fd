"""The shapes of an OpenAI-like answer, as far as the reader looks into it. Everything else is skipped unread.

Text stays a `msgspec.Raw` JSON literal; an absent field is an empty Raw, and null is the bytes `null`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Raw

ABSENT = Raw()


class FunctionPart(msgspec.Struct, gc=False):
    """A called function. `arguments` is a string, or an object where a vendor sends one whole."""

    name: str | None = None
    arguments: Raw = ABSENT


class CallPart(msgspec.Struct, gc=False):
    """A fragment of a tool call, or a whole one."""

    index: int | None = None
    id: str | None = None
    function: FunctionPart | None = None


class Said(msgspec.Struct, gc=False):
    """A delta, or the message of an answer that came whole. `content` may be a list of parts (Mistral)."""

    content: Raw = ABSENT
    refusal: Raw = ABSENT
    reasoning_content: Raw = ABSENT
    reasoning: Raw = ABSENT
    reasoning_details: Raw = ABSENT
    tool_calls: list[CallPart] | None = None
    function_call: FunctionPart | None = None
    annotations: Raw = ABSENT
    audio: Raw = ABSENT


class ChoicePart(msgspec.Struct, gc=False):
    """A choice of a chunk (`delta`) or of a whole answer (`message`)."""

    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Raw = ABSENT


class Groq(msgspec.Struct, gc=False):
    """Groq's own corner, where it first put its usage."""

    usage: Raw = ABSENT


class Part(msgspec.Struct, gc=False):
    """A chunk after the first one: who answers is known."""

    choices: list[ChoicePart] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    x_groq: Groq | None = None


class FirstPart(Part, gc=False):
    """A chunk until the upstream has said who it is."""

    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


class TextPart(msgspec.Struct, gc=False):
    """One part of a content list: text, or thinking, which is a list of text parts (Mistral) or a string."""

    type: str = "text"
    text: Raw = ABSENT
    thinking: Raw = ABSENT


class Detail(msgspec.Struct, gc=False):
    """One entry of `reasoning_details` (OpenRouter, Snowflake): text, or a summary of it, or data we can't show.

    A `signature` or `data` must come back with the thought, under the other names that stand beside it.
    """

    text: Raw = ABSENT
    summary: Raw = ABSENT
    type: str | None = None
    id: str | None = None
    format: str | None = None
    signature: Raw = ABSENT
    data: Raw = ABSENT


part = msgspec.json.Decoder(Part).decode
first_part = msgspec.json.Decoder(FirstPart).decode
details = msgspec.json.Decoder(list[Detail]).decode
_parts = msgspec.json.Decoder(list[TextPart]).decode


def spoken(content: Raw) -> Iterator[tuple[bool, Raw]]:
    """The texts of a content list in order, and whether each is a thought. Raises msgspec.DecodeError."""
    for piece in _parts(content):
        if present(piece.thinking) and bytes(piece.thinking)[:1] == b"[":
            yield from ((True, text) for _, text in spoken(piece.thinking))
        elif present(piece.thinking):
            yield True, piece.thinking
        elif present(piece.text):
            yield False, piece.text


def present(raw: Raw) -> bool:
    """Whether a field is there, and not null."""
    return bytes(raw) not in (b"", b"null")
