"""What a delta may hold beside a plain text, as the vendors send it (wire-format.md, section 4)."""

from __future__ import annotations

import pytest

from riverrun.stream.deltas import Annotation, Audio, Reasoning, Refusal, Signature, Text
from tests.dialects.asks import said


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_by_either_name(name: str) -> None:
    assert said({name: "hm", "content": None}, {"content": "x", name: None}) == [Reasoning(0, b'"hm"'), Text(0, b'"x"')]


def test_reasoning_under_several_names_is_said_once() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "index": 0}]
    assert said({"reasoning": "hm", "reasoning_content": "hm", "reasoning_details": details}) == [Reasoning(0, b'"hm"')]
    assert said({"reasoning_details": details}) == [Reasoning(0, b'"hm"')]
    assert said({"reasoning_details": [{"type": "reasoning.summary", "summary": "s"}]}) == [Reasoning(0, b'"s"')]


def test_what_seals_a_thought_is_passed_on_without_its_index_and_text() -> None:
    sealed = {"type": "reasoning.text", "text": "hm", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
    hidden = {"type": "reasoning.encrypted", "id": "rs_1", "data": "zz", "signature": None, "index": 1}
    assert said({"reasoning": "hm", "reasoning_details": [sealed, hidden]}) == [
        Reasoning(0, b'"hm"'),
        Signature(0, b'{"type":"reasoning.text","format":"anthropic-claude-v1","signature":"sig"}'),
        Signature(0, b'{"type":"reasoning.encrypted","id":"rs_1","data":"zz"}'),
    ]
    assert said({"reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "", "data": None}]}) == []


def test_content_in_parts() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, {"type": "text", "text": "so"}]}
    parts = [thinking, {"type": "text", "text": "x"}, {"type": "thinking", "thinking": "y"}, {"type": "reference"}]
    assert said({"content": parts}) == [
        Reasoning(0, b'"hm"'),
        Reasoning(0, b'"so"'),
        Text(0, b'"x"'),
        Reasoning(0, b'"y"'),
    ]


def test_refusals_annotations_and_audio() -> None:
    note = {"type": "url_citation", "index": 4, "url_citation": {"url": "u"}}
    assert said({"refusal": "No"}, {"annotations": [note]}, {"audio": {"id": "a", "data": "AA"}}) == [
        Refusal(0, b'"No"'),
        Annotation(0, b'{"type":"url_citation","url_citation":{"url":"u"}}'),
        Audio(0, b'{"id": "a", "data": "AA"}'),
    ]
    assert (
        said({"annotations": [], "audio": {"id": "", "data": ""}, "function_call": {"name": "", "arguments": ""}}) == []
    )
