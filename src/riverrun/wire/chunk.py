"""The stream's own object, `chat.completion.chunk`: its fields, and how one is written.

The structs say what a chunk is (for the fold and for /openapi.json). The writer makes chunks on the hot path by
putting a JSON literal between two constant pieces, because a stream's identity never changes once it is committed.
It knows spelling and order of the fields; which chunk may come when is the assembler's business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from riverrun.wire.jsonvalue import JsonObject, JsonValue

DONE = b"[DONE]"
OBJECT = "chat.completion.chunk"


class Identity(msgspec.Struct, frozen=True):
    """What is the same in every chunk of a stream. `created` is in Unix seconds."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None = None
    service_tier: str | None = None


class TopLogprob(msgspec.Struct, frozen=True):
    """An alternative token; `logprob` is a natural logarithm, `bytes` its UTF-8 bytes or null."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token that was sampled, and the most likely ones in its place."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(msgspec.Struct, frozen=True):
    content: list[TokenLogprob] | None = None
    refusal: list[TokenLogprob] | None = None


class FunctionDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fragment of a tool call. The first one of a call has id, type and name; later ones only arguments."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta | None = None


class ChunkDelta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a chunk adds to its choice."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    function_call: FunctionDelta | None = None
    annotations: list[JsonObject] | None = None
    reasoning_details: list[JsonObject] | None = None
    audio: JsonObject | None = None


class ChunkChoice(msgspec.Struct, frozen=True):
    index: int
    delta: ChunkDelta
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"] | None
    logprobs: ChoiceLogprobs | None = None


class PromptTokensDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    cache_write_tokens: int | None = None
    text_tokens: int | None = None
    image_tokens: int | None = None


class CompletionTokensDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None
    rejected_prediction_tokens: int | None = None
    text_tokens: int | None = None


class CompletionUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of the whole answer; `total_tokens` is the sum of the other two (U3)."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a stream. `usage` is null in all but one chunk with include_usage, and absent without it."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    service_tier: str | None = None
    system_fingerprint: str | None = None
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None
    obfuscation: str | None = None


decode = msgspec.json.Decoder(Chunk).decode


def literal(text: str) -> bytes:
    """`text` as a JSON string literal, quotes included."""
    return msgspec.json.encode(text)


class Writer:
    """Writes the chunks of one stream.

    `usage_null` puts `"usage":null` into every chunk but the usage chunk (U2). `pad`, where the caller asked for
    `include_obfuscation`, gives a string that hides a chunk's length: it is called with the chunk's size in bytes.
    """

    __slots__ = ("_after_text", "_before", "_before_text", "_head", "_pad", "_tail")

    def __init__(
        self, identity: Identity, *, usage_null: bool = False, pad: Callable[[int], str] | None = None
    ) -> None:
        head: dict[str, JsonValue] = {"id": identity.id, "object": OBJECT, "created": identity.created}
        head["model"] = identity.model
        if identity.service_tier is not None:
            head["service_tier"] = identity.service_tier
        head["system_fingerprint"] = identity.system_fingerprint
        self._head = msgspec.json.encode(head)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}' if usage_null else b"]}"
        self._pad = pad
        self._before: tuple[bytes, ...] = ()  # up to the delta's members, by choice
        self._before_text: tuple[bytes, ...] = ()  # likewise, up to a text
        self._after_text = b'},"logprobs":null,"finish_reason":null}' + self._tail

    def text(self, choice: int, content: bytes) -> bytes:
        """The commonest chunk: `content` (a JSON string literal) and nothing else."""
        if choice >= len(self._before_text):
            self._reach(choice)
        chunk = self._before_text[choice] + content + self._after_text
        return chunk if self._pad is None else self._obfuscated(chunk)

    def delta(self, choice: int, fields: bytes, logprobs: bytes = b"null", finish_reason: bytes = b"null") -> bytes:
        """Any chunk of one choice: `fields` are the delta's members, the rest JSON values."""
        if choice >= len(self._before):
            self._reach(choice)
        start = self._before[choice]
        chunk = start + fields + b'},"logprobs":' + logprobs + b',"finish_reason":' + finish_reason + b"}" + self._tail
        return chunk if self._pad is None else self._obfuscated(chunk)

    def usage(self, usage: CompletionUsage) -> bytes:
        """The usage chunk: the only one with an empty list of choices, and the last before [DONE] (U2, O11)."""
        chunk = b'%b],"usage":%b}' % (self._head, msgspec.json.encode(usage))
        return chunk if self._pad is None else self._obfuscated(chunk)

    def _reach(self, choice: int) -> None:
        """Makes the constant pieces of the choices up to this one."""
        for each in range(len(self._before), choice + 1):
            start = self._head + b'{"index":%d,"delta":{' % each
            self._before += (start,)
            self._before_text += (start + b'"content":',)

    def _obfuscated(self, chunk: bytes) -> bytes:
        assert self._pad is not None
        return b'%b,"obfuscation":%b}' % (chunk[:-1], literal(self._pad(len(chunk))))
