from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from riverrun.dialects.responses_events import Counts, annotation_of, contents, response, usage_of
from riverrun.stream.deltas import Usage
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails


def test_counts_in_the_chats_words() -> None:
    details = b'"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":2,"new":3},"output_tokens_details":{}'
    counted = response(b'{"usage":{"input_tokens":5,"output_tokens":6,%b}}' % details).usage
    assert counted is not None
    prompt = PromptTokensDetails(cached_tokens=1, cache_write_tokens=2)
    assert usage_of(counted) == Usage(5, 6, prompt, CompletionTokensDetails())
    assert usage_of(Counts(5, 6)) == Usage(5, 6)


def test_parts_are_there_or_not() -> None:
    assert contents(Raw()) == contents(Raw(b"null")) == contents(Raw(b"[]")) == []
    (part,) = contents(Raw(b'[{"type":"output_text","text":"x","new":1}]'))
    assert bytes(part.text) == b'"x"'
    with pytest.raises(msgspec.DecodeError):
        contents(Raw(b'"x"'))


def test_a_citation_has_only_what_the_chat_knows_of_it() -> None:
    raw = Raw(b'{"type":"url_citation","url":"u","title":"t","start_index":0,"end_index":2,"new":1}')
    assert annotation_of(raw) == (
        b'{"type":"url_citation","url_citation":{"start_index":0,"end_index":2,"title":"t","url":"u"}}'
    )
