"""The shapes of a Messages API answer, as far as the reader looks into it. Everything else is skipped unread."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from riverrun.dialects.openai_events import ABSENT
from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails


class OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class Counts(msgspec.Struct, gc=False):
    """Token counts so far. `message_start` has all of them, `message_delta` those that have changed."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None

    def updated(self, later: Counts) -> Counts:
        changed = {name: value for name, value in msgspec.structs.asdict(later).items() if value is not None}
        return msgspec.structs.replace(self, **changed)

    def usage(self) -> Usage:
        """The prompt is what was read, whether from the cache, into it, or past it."""
        cached, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        details = self.output_tokens_details
        thought = None if details is None else details.thinking_tokens
        return Usage(
            (self.input_tokens or 0) + cached + written,
            self.output_tokens or 0,
            PromptTokensDetails(cached_tokens=cached, cache_write_tokens=written),
            None if thought is None else CompletionTokensDetails(reasoning_tokens=thought),
        )


class Citation(msgspec.Struct, gc=False):
    """A source; only those on the web have an address."""

    url: str | None = None
    title: str | None = None


class Block(msgspec.Struct, gc=False):
    """A content block: as it opens in a stream, or whole."""

    type: str = ""
    id: str = ""
    name: str = ""
    input: Raw = ABSENT
    text: Raw = ABSENT
    thinking: Raw = ABSENT
    signature: str | None = None
    data: str = ""
    citations: list[Citation] | None = None


class Piece(msgspec.Struct, gc=False):
    """The `delta` of a content block, or of the message."""

    type: str = ""
    text: Raw = ABSENT
    thinking: Raw = ABSENT
    signature: str = ""
    partial_json: Raw = ABSENT
    citation: Citation | None = None
    stop_reason: str | None = None


class Message(msgspec.Struct, gc=False):
    """The message: empty as it opens in a stream, or whole."""

    type: str = ""
    model: str | None = None
    content: list[Block] = []
    stop_reason: str | None = None
    usage: Counts | None = None


class Part(msgspec.Struct, gc=False):
    """One event."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Piece | None = None
    usage: Counts | None = None


part = msgspec.json.Decoder(Part, strict=False).decode
message = msgspec.json.Decoder(Message, strict=False).decode
