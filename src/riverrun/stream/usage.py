"""How many tokens an answer cost: the upstream's own counts, summed over the calls that made it."""

from __future__ import annotations

from collections.abc import Iterable

from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import CompletionTokensDetails, CompletionUsage


def combined(calls: list[Usage], spent: int = 0) -> CompletionUsage:
    """One usage for the calls of an answer: the prompt was the same one, so it counts once; completions add up.

    `spent` tokens were sent by calls that broke before they counted; to the call that went on they were prompt.

    The first call's prompt stands: the others find it in the upstream's cache, and their `cached_tokens` would say
    that nearly all of the prompt had been cached before this request.
    """
    first = calls[0]
    if len(calls) == 1 and not spent:  # nearly every answer: its counts as they are
        prompt, completion = first.prompt_tokens, first.completion_tokens
        return CompletionUsage(prompt, completion, prompt + completion, first.prompt_details, first.completion_details)
    prompt = max(1, first.prompt_tokens - spent) if spent else first.prompt_tokens
    completion = sum(call.completion_tokens for call in calls) + spent
    return CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=first.prompt_details,
        completion_tokens_details=_added(call.completion_details for call in calls),
    )


def estimated(prompt_characters: int, deltas: int) -> CompletionUsage:
    """For an upstream that reports none: a token a delta, and four characters a token for the prompt."""
    prompt = max(1, prompt_characters // 4)
    return CompletionUsage(prompt_tokens=prompt, completion_tokens=deltas, total_tokens=prompt + deltas)


def _added(details: Iterable[CompletionTokensDetails | None]) -> CompletionTokensDetails | None:
    present = [each for each in details if each is not None]
    if not present:
        return None
    sums: dict[str, int | None] = {}
    for name in CompletionTokensDetails.__struct_fields__:
        counts = [count for each in present if (count := getattr(each, name)) is not None]
        sums[name] = sum(counts) if counts else None
    return CompletionTokensDetails(**sums)
