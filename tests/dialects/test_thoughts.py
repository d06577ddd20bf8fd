from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.dialects.thoughts import Sealed, Thinking, Thought, sealed, thoughts
from riverrun.stream.deltas import Reasoning, Signature
from riverrun.wire.jsonvalue import JsonValue

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.one_of(st.lists(TEXTS, max_size=3), st.just(None)), max_size=5))
def test_what_goes_out_comes_back(said: list[list[str] | None]) -> None:
    """Thoughts of any pieces, and sealed ones (None) between them, through a client that keeps what it was sent."""
    thinking, text, details = Thinking(0), "", list[JsonValue]()
    expected: list[Thought | Sealed] = []
    for block, pieces in enumerate(said):
        if pieces is None:
            deltas: list[Reasoning | Signature] = [sealed(0, f"z{block}")]
            expected.append(Sealed(f"z{block}"))
        else:
            deltas = [thinking.say(block, json.dumps(piece).encode()) for piece in pieces]
            deltas.append(thinking.sign(block, f"s{block}"))
            expected.append(Thought("".join(pieces), f"s{block}"))
        for delta in deltas:
            if isinstance(delta, Reasoning):
                text += json.loads(delta.literal)
            else:
                details.append({"index": len(details), **json.loads(delta.value)})
    body: dict[str, JsonValue] = {"role": "assistant", "reasoning_content": text, "reasoning_details": details}
    assert thoughts(body) == expected


def test_details_that_bring_their_text_in_pieces() -> None:
    details: list[JsonValue] = [
        {"type": "reasoning.text", "text": "a"},
        {"type": "reasoning.text", "text": "b", "signature": None},
        {"type": "reasoning.text", "signature": "s"},
        {"type": "reasoning.text", "text": "never signed"},
        {"type": "reasoning.summary", "summary": "x"},
    ]
    assert thoughts({"reasoning": "ab", "reasoning_details": details}) == [Thought("ab", "s")]


@pytest.mark.parametrize("details", [None, 5, "x", [5], [{"type": 5}], [], [{"signature": "s", "type": "other"}]])
def test_details_of_another_form_are_none(details: JsonValue) -> None:
    assert thoughts({"reasoning_content": "x", "reasoning_details": details}) == []
