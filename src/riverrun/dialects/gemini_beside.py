"""What stands beside a Gemini answer's text: its sources as annotations, its token probabilities, its usage."""

from __future__ import annotations

import msgspec

from riverrun.dialects.gemini_events import (
    Grounding,
    GroundingChunk,
    LogprobsResult,
    Segment,
    Token,
    UsageMetadata,
    Web,
    modalities,
)
from riverrun.dialects.openai_logprobs import NEVER
from riverrun.stream.deltas import Annotation, Delta, Usage
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails, TokenLogprob, TopLogprob

MODALITIES = {"TEXT": "text_tokens", "IMAGE": "image_tokens", "AUDIO": "audio_tokens"}
"""Where the API counts a modality; video and documents have no count of their own there."""


def citations(choice: int, grounding: Grounding, said: list[bytes]) -> list[Delta]:
    """One `url_citation` for each stretch and source; a source that no stretch names stands at the end."""
    if not grounding.grounding_chunks:
        return []  # the metadata stand in every event of an answer that may search, and are mostly empty
    text = "".join(msgspec.json.decode(literal, type=str) for literal in said)
    sources = [_source(chunk) for chunk in grounding.grounding_chunks]
    out: list[Delta] = []
    cited: set[int] = set()
    for support in grounding.grounding_supports:
        start, end = _place(support.segment or Segment(), text)
        for index in support.grounding_chunk_indices:
            cited.add(index)
            if index < len(sources):
                out += _citation(choice, sources[index], start, end)
    for index, source in enumerate(sources):
        if index not in cited:
            out += _citation(choice, source, len(text), len(text))
    return out


def _source(chunk: GroundingChunk) -> Web:
    return chunk.web or chunk.retrieved_context or chunk.maps or Web()


def _citation(choice: int, source: Web, start: int, end: int) -> list[Delta]:
    """A source without an address can't be cited by one."""
    if not source.uri:
        return []
    cited = {"start_index": start, "end_index": end, "url": source.uri, "title": source.title or ""}
    return [Annotation(choice, msgspec.json.encode({"type": "url_citation", "url_citation": cited}))]


def _place(segment: Segment, text: str) -> tuple[int, int]:
    """A stretch in characters. Its own words are believed before its indexes."""
    start = len(text.encode()[: segment.start_index].decode(errors="ignore"))
    if segment.text and text[start : start + len(segment.text)] != segment.text:
        start = max(0, text.find(segment.text))
    return start, start + len(segment.text)


def tokens(result: LogprobsResult, most: int) -> bytes | None:
    """The API's array of token objects, with as many alternatives as were asked for; None where there are none."""
    chosen = result.chosen_candidates
    tops = [each.candidates for each in result.top_candidates] or [[] for _ in chosen]
    if not chosen or len(tops) != len(chosen):
        return None
    return msgspec.json.encode(
        [
            TokenLogprob(
                each.token,
                _number(each),
                list(each.token.encode()),
                [TopLogprob(one.token, _number(one), list(one.token.encode())) for one in top[:most]],
            )
            for each, top in zip(chosen, tops, strict=True)
        ]
    )


def _number(token: Token) -> float:
    return NEVER if token.log_probability is None else min(0.0, token.log_probability)


class Counter:
    """One answer's counts, as they come with every event."""

    __slots__ = ("_last", "_prompt")

    def __init__(self) -> None:
        self._last: UsageMetadata | None = None
        self._prompt: PromptTokensDetails | None = None

    def usage(self, counts: UsageMetadata) -> Usage | None:
        """The counts so far, where they are not the last ones. Raises ValueError.

        What tools brought into the prompt is prompt, and thoughts are completion.
        """
        last = self._last
        if counts == last:
            return None
        if (
            last is None
            or counts.prompt_tokens_details != last.prompt_tokens_details
            or counts.cached_content_token_count != last.cached_content_token_count
        ):
            self._prompt = _prompt_details(counts)
        self._last = counts
        thoughts = counts.thoughts_token_count
        return Usage(
            counts.prompt_token_count + counts.tool_use_prompt_token_count,
            counts.candidates_token_count + (thoughts or 0),
            self._prompt,
            CompletionTokensDetails(reasoning_tokens=thoughts) if thoughts is not None else None,
        )


def _prompt_details(counts: UsageMetadata) -> PromptTokensDetails | None:
    """What the prompt is made of: the same from the first event to the last, as a rule."""
    raw, cached = counts.prompt_tokens_details, counts.cached_content_token_count
    by_modality = {
        MODALITIES[each.modality]: each.token_count
        for each in (modalities(raw) if raw else ())
        if each.modality in MODALITIES
    }
    return PromptTokensDetails(cached_tokens=cached, **by_modality) if by_modality or cached is not None else None
