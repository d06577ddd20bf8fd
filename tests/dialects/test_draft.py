"""Every parameter of the API has a place in every language: said, renamed, ours, dropped, or refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects import cohere_encode, gemini_encode, ollama_encode
from riverrun.dialects.draft import Draft, carry, encoded
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Failure
from riverrun.wire.request import ChatRequest
from tests.dialects.asks import ask
from tests.dialects.speaking import at

PARAMETERS = frozenset(ChatRequest.__struct_fields__)
OLD = frozenset({"functions", "function_call"})
"""They become tools before anything else is done."""

REFUSED = {
    "gemini": {"audio", "logit_bias", "modalities", "moderation"},
    "vertex": {"audio", "logit_bias", "modalities", "moderation"},
    "ollama": {"audio", "logit_bias", "modalities", "moderation", "web_search_options"},
    "cohere": {
        "audio", "logit_bias", "logprobs", "modalities", "moderation", "top_logprobs", "web_search_options",
    },
}  # fmt: skip
SAID = {
    "gemini": gemini_encode.SAID,
    "vertex": gemini_encode.SAID,
    "ollama": ollama_encode.SAID,
    "cohere": cohere_encode.SAID,
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_refused_is_what_nobody_can_say(name: str) -> None:
    row = ROWS[name]
    assert PARAMETERS - OLD - SAID[name] - {*row.ours, *row.dropped, *row.rename} == REFUSED[name]
    assert not SAID[name] & {*row.ours, *row.rename}


def drafted(row: Row, **body: Any) -> Draft[Row]:
    draft = Draft(ask(**body), at("cohere"), row)
    carry(draft, frozenset({"messages", "model"}))
    return draft


def test_a_path_leads_into_objects() -> None:
    draft = drafted(Row(rename={"temperature": "a.b.t", "top_p": "a.p"}), temperature=1, top_p=0.5)
    assert draft.body == {"a": {"b": {"t": 1}, "p": 0.5}}
    draft.put("a.b", {"u": 2})
    assert draft.body == {"a": {"b": {"t": 1, "u": 2}, "p": 0.5}}
    assert draft.given("a.b.u")
    assert not draft.given("a.b.t.x")
    assert not draft.given("c")


def test_an_extra_needs_the_rows_word_even_where_it_has_a_name() -> None:
    row = Row(extra=("x",), rename={"x": "deep.x", "y": "deep.y"})
    draft = drafted(row, x=1, y=2, z=3)
    assert (draft.body, draft.dropped) == ({"deep": {"x": 1}}, ["y", "z"])


def test_what_asks_for_nothing_is_passed_over() -> None:
    same: dict[str, Any] = {"logprobs": False, "logit_bias": {}, "n": 1, "seed": None, "modalities": ["text"]}
    assert drafted(Row(), **same).body == {}
    with pytest.raises(Failure, match="'logprobs' is not supported with the model 'shown'"):
        drafted(Row(), logprobs=True)


def test_constants_are_paths() -> None:
    assert encoded(drafted(Row(constants={"a.b": 1, "c": True}))) == b'{"a":{"b":1},"c":true}'
