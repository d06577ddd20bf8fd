from __future__ import annotations

import json

import msgspec
import pytest

from riverrun.dialects.gemini_beside import Counter, citations, tokens
from riverrun.dialects.gemini_events import Grounding, LogprobsResult, UsageMetadata
from riverrun.stream.deltas import Annotation, Usage
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails


def places(grounding: dict[str, object], *said: str) -> list[tuple[int, int, str]]:
    """Where each citation says that it stands, and its address."""
    literals = [json.dumps(each).encode() for each in said]
    out = []
    for each in citations(0, msgspec.convert(grounding, Grounding), literals):
        assert isinstance(each, Annotation)
        cited = json.loads(each.value)["url_citation"]
        out.append((cited["start_index"], cited["end_index"], cited["url"]))
    return out


CHUNKS = [
    {"web": {"uri": "u0", "title": "t"}},
    {"retrievedContext": {"uri": "u1"}},
    {"retrievedContext": {"title": "?"}},
]


def test_places_are_counted_in_characters() -> None:
    segment = {"startIndex": 7, "endIndex": 12, "text": "süß."}
    grounding = {"groundingChunks": CHUNKS, "groundingSupports": [{"segment": segment, "groundingChunkIndices": [0]}]}
    assert places(grounding, "Öl,", " é süß.") == [(6, 10, "u0"), (10, 10, "u1")]


def test_the_words_of_a_stretch_are_believed_before_its_place() -> None:
    segment = {"startIndex": 1, "endIndex": 4, "text": "three"}
    support = {"segment": segment, "groundingChunkIndices": [0, 1, 2, 9]}
    grounding = {"groundingChunks": CHUNKS, "groundingSupports": [support]}
    assert places(grounding, "one two three") == [(8, 13, "u0"), (8, 13, "u1")]


def test_nothing_is_cited_where_nothing_is_told() -> None:
    assert places({}, "x") == []
    assert places({"webSearchQueries": ["q"], "groundingSupports": [{}]}, "x") == []


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, Usage(0, 0)),
        ({"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}, Usage(3, 4)),
        (
            {"promptTokenCount": 17, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 41, "thoughtsTokenCount": 5},
            Usage(19, 46, None, CompletionTokensDetails(reasoning_tokens=5)),
        ),
        (
            {
                "promptTokenCount": 9,
                "cachedContentTokenCount": 2,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 3},
                    {"modality": "AUDIO", "tokenCount": 6},
                    {"modality": "VIDEO", "tokenCount": 9},
                ],
            },
            Usage(9, 0, PromptTokensDetails(cached_tokens=2, text_tokens=3, audio_tokens=6)),
        ),
    ],
)
def test_usage(counts: dict[str, object], expected: Usage) -> None:
    assert Counter().usage(msgspec.json.decode(json.dumps(counts), type=UsageMetadata)) == expected


def test_counts_that_stand_in_every_event_are_told_where_they_have_grown() -> None:
    counter = Counter()

    def told(said: int, text: int) -> Usage | None:
        details = [{"modality": "TEXT", "tokenCount": text}]
        counts = {"promptTokenCount": 3, "candidatesTokenCount": said, "promptTokensDetails": details}
        return counter.usage(msgspec.json.decode(json.dumps(counts), type=UsageMetadata))

    assert told(1, 3) == Usage(3, 1, PromptTokensDetails(text_tokens=3))
    assert told(1, 3) is None
    assert told(2, 3) == Usage(3, 2, PromptTokensDetails(text_tokens=3))
    assert told(2, 2) == Usage(3, 2, PromptTokensDetails(text_tokens=2))
    assert counter.usage(UsageMetadata(3, 2, 1)) == Usage(3, 2, PromptTokensDetails(cached_tokens=1))
    assert Counter().usage(UsageMetadata()) == Usage(0, 0)


def test_probabilities_that_do_not_fit_together_are_none() -> None:
    assert tokens(LogprobsResult(), 5) is None
    one = {"chosenCandidates": [{"token": "é"}, {"token": "b"}], "topCandidates": [{"candidates": []}]}
    assert tokens(msgspec.convert(one, LogprobsResult), 5) is None
    alone = msgspec.convert({"chosenCandidates": [{"token": "é"}]}, LogprobsResult)
    assert json.loads(tokens(alone, 5) or b"") == [
        {"token": "é", "logprob": -9999.0, "bytes": [195, 169], "top_logprobs": []}
    ]
