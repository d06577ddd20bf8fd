"""The alphabet: what an upstream can say while it answers, whatever language it speaks.

A dialect's reader turns upstream events into these; the assembler turns these into chunks. Text is carried as
the JSON string literal it arrived as (quotes included, valid UTF-8), so that the hot path never decodes it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


class Open(msgspec.Struct, frozen=True, gc=False):
    """The upstream accepted and says who it is. Commits nothing."""

    choice: int
    model: str | None = None
    fingerprint: str | None = None
    tier: str | None = None


class Text(msgspec.Struct, frozen=True, gc=False):
    """Visible text. `literal` is a JSON string literal; `logprobs` a JSON array of the token objects behind it."""

    choice: int
    literal: bytes
    logprobs: bytes | None = None


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """Text that the model thinks and does not say."""

    choice: int
    literal: bytes


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Text with which the model declines; takes the place of content."""

    choice: int
    literal: bytes
    logprobs: bytes | None = None


class ToolOpen(msgspec.Struct, frozen=True, gc=False):
    """A tool call begins. `call` is the upstream's own handle for it; the assembler numbers calls densely."""

    choice: int
    call: int
    id: str
    name: str


class ToolArgs(msgspec.Struct, frozen=True, gc=False):
    """A fragment of a call's arguments, as a JSON string literal."""

    choice: int
    call: int
    literal: bytes


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """One annotation (a citation, say): a JSON object without its `index`."""

    choice: int
    value: bytes


class Signature(msgspec.Struct, frozen=True, gc=False):
    """What must come back with a thought for the upstream to accept it: a JSON object for `delta.reasoning_details`.

    Its members are `type` and `signature` or `data`, as the upstream's; without `index`.
    """

    choice: int
    value: bytes


class Audio(msgspec.Struct, frozen=True, gc=False):
    """A piece of spoken answer: the JSON object of `delta.audio`."""

    choice: int
    value: bytes


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The choice is complete, for one of the API's reasons. Anything else is a failure, never a guess."""

    choice: int
    reason: FinishReason


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one upstream call so far; a later one of the same call replaces an earlier one."""

    prompt_tokens: int
    completion_tokens: int
    prompt_details: PromptTokensDetails | None = None
    completion_details: CompletionTokensDetails | None = None


Delta = Open | Text | Reasoning | Refusal | ToolOpen | ToolArgs | Annotation | Signature | Audio | Finish | Usage
