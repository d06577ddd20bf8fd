"""An upstream's token counts, in whichever of the vendors' forms they come."""

from __future__ import annotations

import msgspec

from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails


class _Counts(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's cached_tokens


_decode = msgspec.json.Decoder(_Counts | None, strict=False).decode


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """The counts, or None where they are absent, null or not counts.

    Counts that can't be read are as good as none (they are estimated then); they are no reason to lose an answer.
    """
    try:
        counts = _decode(raw) if bytes(raw) else None
    except msgspec.DecodeError:
        return None
    if counts is None or (counts.prompt_tokens is None and counts.completion_tokens is None):
        return None
    details = counts.prompt_tokens_details
    if details is None and counts.prompt_cache_hit_tokens is not None:
        details = PromptTokensDetails(cached_tokens=counts.prompt_cache_hit_tokens)
    prompt, completion = counts.prompt_tokens or 0, counts.completion_tokens
    if completion is None:
        completion = max(0, (counts.total_tokens or prompt) - prompt)
    return Usage(prompt, completion, details, counts.completion_tokens_details)
