"""The shapes of a Gemini answer (GenerateContentResponse), as far as the reader looks into it.

Text and arguments stay `msgspec.Raw`; an absent field is an empty Raw. What a server-side tool did (code, searches) is
skipped unread: it is not the answer.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from riverrun.wire.jsonvalue import JsonValue

ABSENT = Raw()


class PartialArg(msgspec.Struct, rename="camel"):
    """A piece of one argument; at most one of the values is there."""

    json_path: str = "$"
    string_value: str | None = None
    number_value: int | float | None = None
    bool_value: bool | None = None

    @property
    def value(self) -> JsonValue:
        values = (self.string_value, self.number_value, self.bool_value)
        return next((value for value in values if value is not None), None)


class FunctionCall(msgspec.Struct, rename="camel"):
    """A call: whole with `args`, or the pieces of one while `will_continue`."""

    id: str | None = None
    name: str | None = None
    args: Raw = ABSENT
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class Part(msgspec.Struct, rename="camel", gc=False):
    """One part of a candidate's content."""

    text: Raw = ABSENT
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Raw = ABSENT


class Content(msgspec.Struct, gc=False):
    parts: list[Part] | None = None


class Web(msgspec.Struct):
    """A source: a page, or a document with an address."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct, rename="camel"):
    web: Web | None = None
    retrieved_context: Web | None = None
    maps: Web | None = None


class Segment(msgspec.Struct, rename="camel"):
    """A stretch of the answer. The indexes count bytes of UTF-8, and some servers count them wrong."""

    start_index: int = 0
    end_index: int = 0
    text: str = ""


class GroundingSupport(msgspec.Struct, rename="camel"):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] = []


class Grounding(msgspec.Struct, rename="camel"):
    """What the answer is founded on, and which stretch of it on which source."""

    grounding_chunks: list[GroundingChunk] = []
    grounding_supports: list[GroundingSupport] = []


class Token(msgspec.Struct, rename="camel"):
    token: str = ""
    log_probability: float | None = None


class TopTokens(msgspec.Struct):
    candidates: list[Token] = []


class LogprobsResult(msgspec.Struct, rename="camel"):
    chosen_candidates: list[Token] = []
    top_candidates: list[TopTokens] = []


class Candidate(msgspec.Struct, rename="camel", gc=False):
    content: Content | None = None
    finish_reason: str | None = None
    index: int = 0
    grounding_metadata: Grounding | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class ModalityCount(msgspec.Struct, rename="camel"):
    modality: str = ""
    token_count: int = 0


class UsageMetadata(msgspec.Struct, rename="camel", gc=False):
    """The counts so far. They stand in every event and grow; what the prompt is made of is always the same."""

    prompt_token_count: int = 0
    candidates_token_count: int = 0
    cached_content_token_count: int | None = None
    prompt_tokens_details: Raw = ABSENT
    tool_use_prompt_token_count: int = 0
    thoughts_token_count: int | None = None


class Response(msgspec.Struct, rename="camel", gc=False):
    """One event, or a whole answer."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    error: Raw = ABSENT


modalities = msgspec.json.Decoder(list[ModalityCount]).decode
response = msgspec.json.Decoder(Response).decode
responses = msgspec.json.Decoder(list[Response]).decode
