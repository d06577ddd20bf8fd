"""The shapes of a Responses stream and of a whole response, as far as the reader looks into them.

Text stays a `msgspec.Raw` JSON literal; an absent field is an empty Raw, and null is the bytes `null`.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails

ABSENT = Raw()


class Content(msgspec.Struct, gc=False):
    """A part of a message, of a thought or of its summary."""

    type: str = ""
    text: Raw = ABSENT
    refusal: Raw = ABSENT
    annotations: list[Raw] | None = None
    logprobs: Raw = ABSENT


class Item(msgspec.Struct, gc=False):
    """An item of the output: a message, a function call, a thought, or something that the provider did itself.

    `content` and `summary` are decoded only where they are a message's or a thought's.
    """

    type: str
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Raw = ABSENT
    encrypted_content: Raw = ABSENT
    content: Raw = ABSENT
    summary: Raw = ABSENT


class InputDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class Counts(msgspec.Struct, gc=False):
    """The response's usage, in this API's words."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """The response object: in the first events who answers, in the last one how it ended."""

    status: str | None = None
    model: str | None = None
    service_tier: str | None = None
    error: Raw = ABSENT
    incomplete_details: Incomplete | None = None
    usage: Counts | None = None
    output: list[Item] | None = None


class StreamEvent(msgspec.Struct, gc=False):
    """Any event. `sequence_number` and `obfuscation` are nothing to us."""

    type: str
    output_index: int = 0
    summary_index: int = 0
    delta: Raw = ABSENT
    arguments: Raw = ABSENT
    logprobs: Raw = ABSENT
    annotation: Raw = ABSENT
    item: Item | None = None
    response: Response | None = None


class UrlCitation(msgspec.Struct, frozen=True, omit_defaults=True):
    """An annotation as Chat Completions has it, in `url_citation`."""

    start_index: int | None = None
    end_index: int | None = None
    title: str | None = None
    url: str | None = None


event = msgspec.json.Decoder(StreamEvent).decode
response = msgspec.json.Decoder(Response).decode
_contents = msgspec.json.Decoder(list[Content] | None).decode
citation = msgspec.json.Decoder(UrlCitation).decode


def contents(raw: Raw) -> list[Content]:
    """The parts of a message or of a thought, none where the field is absent. Raises msgspec.DecodeError."""
    return (_contents(raw) if bytes(raw) else None) or []


def usage_of(counts: Counts) -> Usage:
    """The counts in the words of Chat Completions (wire-format: input to prompt, output to completion)."""
    read, written = counts.input_tokens_details, counts.output_tokens_details
    prompt = PromptTokensDetails(read.cached_tokens, None, read.cache_write_tokens) if read is not None else None
    completion = CompletionTokensDetails(written.reasoning_tokens) if written is not None else None
    return Usage(counts.input_tokens, counts.output_tokens, prompt, completion)


def annotation_of(raw: Raw) -> bytes:
    """An annotation as Chat Completions has it, without an index of its own. Raises msgspec.DecodeError."""
    fields = msgspec.json.decode(raw, type=dict[str, object])
    if fields.get("type") == "url_citation":
        return msgspec.json.encode({"type": "url_citation", "url_citation": citation(raw)})
    return msgspec.json.encode({name: value for name, value in fields.items() if name != "index"})
