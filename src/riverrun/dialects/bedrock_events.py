"""The shapes of a Converse answer, as far as the reader looks into it. Everything else is skipped unread."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from riverrun.dialects.openai_events import ABSENT
from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import PromptTokensDetails


class ToolUse(msgspec.Struct, gc=False, rename="camel"):
    """A call: as it opens in a stream, a fragment of its input (a string), or whole (an object)."""

    tool_use_id: str = ""
    name: str = ""
    type: str = ""
    input: Raw = ABSENT


class ReasoningText(msgspec.Struct, gc=False):
    text: Raw = ABSENT
    signature: str = ""


class Thought(msgspec.Struct, gc=False, rename="camel"):
    """A piece of a thought, or a whole one (`reasoning_text`)."""

    text: Raw = ABSENT
    signature: str = ""
    redacted_content: str = ""
    reasoning_text: ReasoningText | None = None


class WebLocation(msgspec.Struct, gc=False):
    url: str | None = None


class Location(msgspec.Struct, gc=False):
    web: WebLocation | None = None


class Citation(msgspec.Struct, gc=False):
    """A source; only those on the web have an address."""

    title: str | None = None
    location: Location | None = None

    @property
    def url(self) -> str | None:
        return self.location.web.url if self.location is not None and self.location.web is not None else None


class CitedText(msgspec.Struct, gc=False):
    text: Raw = ABSENT


class Cited(msgspec.Struct, gc=False):
    """Text with its sources, in a whole answer."""

    content: list[CitedText] = []
    citations: list[Citation] = []


class Content(msgspec.Struct, gc=False, rename="camel"):
    """A block's opening, a piece of it, or a whole one: exactly one member says something."""

    text: Raw = ABSENT
    tool_use: ToolUse | None = None
    reasoning_content: Thought | None = None
    citation: Citation | None = None
    citations_content: Cited | None = None


class Counts(msgspec.Struct, gc=False, rename="camel"):
    """Token counts. `input_tokens` are those that were neither read from the cache nor written to it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None

    def usage(self) -> Usage:
        read, written = self.cache_read_input_tokens, self.cache_write_input_tokens
        details = PromptTokensDetails(cached_tokens=read or 0, cache_write_tokens=written or 0)
        none = read is None and written is None
        return Usage(self.input_tokens + (read or 0) + (written or 0), self.output_tokens, None if none else details)


class Part(msgspec.Struct, gc=False, rename="camel"):
    """One event's payload."""

    content_block_index: int = 0
    start: Content | None = None
    delta: Content | None = None
    stop_reason: str | None = None
    usage: Counts | None = None


class Message(msgspec.Struct, gc=False):
    content: list[Content] = []


class Output(msgspec.Struct, gc=False):
    message: Message = msgspec.field(default_factory=Message)


class Answer(msgspec.Struct, gc=False, rename="camel"):
    """A whole answer."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: Counts | None = None


part = msgspec.json.Decoder(Part).decode
answer = msgspec.json.Decoder(Answer).decode
