"""The 37 parameters of a chat completion request, by their official names, types and ranges (wire-format.md, 1.1).

These types are the only place that knows them: they validate, the errors are worded from them (`wire.refusal`), and
the OpenAPI document is drawn from them. Null means the default for every optional parameter (B10); both are None.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from riverrun.wire.messages import Message
from riverrun.wire.options import (
    Audio,
    CacheOptions,
    Metadata,
    Moderation,
    Prediction,
    ResponseFormat,
    StreamOptions,
    WebSearchOptions,
)
from riverrun.wire.tools import Function, FunctionCallChoice, Tool, ToolChoice

INT64 = Meta(ge=-(2**63), le=2**63 - 1)

Bias = Annotated[int, Meta(ge=-100, le=100)]
Choices = Annotated[int, Meta(ge=1, le=128)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Functions = Annotated[tuple[Function, ...], Meta(min_length=1, max_length=128)]
Messages = Annotated[tuple[Message, ...], Meta(min_length=1, description="The conversation so far.")]
Modalities = Annotated[tuple[Literal["text", "audio"], ...], Meta(min_length=1)]
ModelName = Annotated[str, Meta(min_length=1, description="A name that GET /v1/models lists.")]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Stops = Annotated[tuple[str, ...], Meta(min_length=1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Tier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
TokenCount = Annotated[int, Meta(ge=1)]
Tools = Annotated[tuple[Tool, ...], Meta(min_length=1)]
TopLogprobs = Annotated[int, Meta(ge=0, le=20)]


def _says(description: str) -> Meta:
    return Meta(description=description)


def _deprecated(instead: str) -> Meta:
    return Meta(description=f"Deprecated: {instead}.", extra_json_schema={"deprecated": True})


class ChatRequest(msgspec.Struct, frozen=True):
    """A request for a chat completion."""

    messages: Messages
    model: ModelName
    audio: Annotated[Audio | None, _says("How a spoken answer sounds; needed with the modality `audio`.")] = None
    frequency_penalty: Annotated[Penalty | None, _says("Lowers the chance of tokens by how often they came.")] = None
    function_call: Annotated[FunctionCallChoice | None, _deprecated("use `tool_choice`")] = None
    functions: Annotated[Functions | None, _deprecated("use `tools`")] = None
    logit_bias: Annotated[dict[str, Bias] | None, _says("Token id to a number added to its logit.")] = None
    logprobs: Annotated[bool | None, _says("Whether to return the log probability of each token.")] = None
    max_completion_tokens: Annotated[TokenCount | None, _says("The most tokens of one answer, thinking included.")] = (
        None
    )
    max_tokens: Annotated[TokenCount | None, _deprecated("use `max_completion_tokens`, which wins")] = None
    metadata: Annotated[Metadata | None, _says("Up to 16 pairs that are kept with a stored completion.")] = None
    modalities: Annotated[Modalities | None, _says("What the answer may be made of.")] = None
    moderation: Annotated[Moderation | None, _says("Moderates the input and the output.")] = None
    n: Annotated[Choices | None, _says("How many answers to give; the server's own limit may be lower.")] = None
    parallel_tool_calls: Annotated[bool | None, _says("Whether one answer may call several tools.")] = None
    prediction: Annotated[Prediction | None, _says("Text that the answer will largely repeat.")] = None
    presence_penalty: Annotated[Penalty | None, _says("Lowers the chance of tokens that came before.")] = None
    prompt_cache_key: Annotated[str | None, _says("Requests with the same key share a prompt cache.")] = None
    prompt_cache_options: Annotated[CacheOptions | None, _says("How the prompt cache is used.")] = None
    prompt_cache_retention: Annotated[
        Literal["in_memory", "24h"] | None, _deprecated("how long the prompt cache is kept")
    ] = None
    reasoning_effort: Annotated[Effort | None, _says("How long to think before the answer.")] = None
    response_format: Annotated[ResponseFormat | None, _says("Text, any JSON object, or JSON after a schema.")] = None
    safety_identifier: Annotated[str | None, _says("A stable name of the end user, without personal data.")] = None
    seed: Annotated[Annotated[int, INT64] | None, _says("The same seed and fingerprint give the same answer.")] = None
    service_tier: Annotated[Tier | None, _says("How the provider ranks the request.")] = None
    stop: Annotated[str | Stops | None, _says("Up to 4 texts that end the answer; they are not part of it.")] = None
    store: Annotated[bool | None, _says("Whether to keep the completion for later retrieval.")] = None
    stream: Annotated[bool | None, _says("Whether to answer with server-sent events as the text is made.")] = None
    stream_options: Annotated[StreamOptions | None, _says("Only with `stream: true`.")] = None
    temperature: Annotated[Temperature | None, _says("0 is the likeliest token each time; higher is freer.")] = None
    tool_choice: Annotated[ToolChoice | None, _says("Which tool to call, if any.")] = None
    tools: Annotated[Tools | None, _says("The tools that the model may call.")] = None
    top_logprobs: Annotated[TopLogprobs | None, _says("How many likely tokens to list for each; needs `logprobs`.")] = (
        None
    )
    top_p: Annotated[Share | None, _says("Only the tokens that make up this share of the probability.")] = None
    user: Annotated[str | None, _deprecated("use `safety_identifier` and `prompt_cache_key`")] = None
    verbosity: Annotated[Literal["low", "medium", "high"] | None, _says("How much to say.")] = None
    web_search_options: Annotated[WebSearchOptions | None, _says("Searches the web before the answer.")] = None

    @property
    def limit(self) -> int | None:
        """The most tokens of one answer: `max_completion_tokens`, else the deprecated `max_tokens` (B11)."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts as a tuple; an empty one stops nothing and is left out."""
        texts = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        return tuple(text for text in texts if text)
