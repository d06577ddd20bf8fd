"""Counting what an answer cost."""

from riverrun.stream.deltas import Usage
from riverrun.stream.usage import combined, estimated
from riverrun.wire.chunk import CompletionTokensDetails, CompletionUsage, PromptTokensDetails


def test_one_call_as_it_is() -> None:
    details = PromptTokensDetails(cached_tokens=3)
    assert combined([Usage(10, 4, details)]) == CompletionUsage(10, 4, 14, details, None)


def test_a_fan_out_pays_its_prompt_once() -> None:
    first = Usage(10, 4, PromptTokensDetails(cached_tokens=0), CompletionTokensDetails(reasoning_tokens=1))
    second = Usage(10, 5, PromptTokensDetails(cached_tokens=9), CompletionTokensDetails(reasoning_tokens=2))
    whole = combined([first, second])
    assert (whole.prompt_tokens, whole.completion_tokens, whole.total_tokens) == (10, 9, 19)
    assert whole.prompt_tokens_details == PromptTokensDetails(cached_tokens=0)
    assert whole.completion_tokens_details == CompletionTokensDetails(reasoning_tokens=3)


def test_an_estimate_adds_up() -> None:
    usage = estimated(prompt_characters=40, deltas=7)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 7, 17)
    assert estimated(0, 0).prompt_tokens == 1
