from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.alternating import Answered, Called, Conversation, Said, alternating
from riverrun.failures import Failure
from tests.dialects.asks import HELLO, ask


def talk(*messages: dict[str, Any]) -> Conversation:
    return alternating(ask(messages=list(messages)).chat)


def test_turns_alternate_whatever_comes() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    said = talk(
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "refusal": "no"},
        *HELLO,
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}], "refusal": "no"},
        {"role": "user", "content": ""},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        *HELLO,
    )
    assert [turn.role for turn in said.turns] == ["assistant", "user", "assistant", "user"]
    assert [turn.blocks for turn in said.turns] == [
        (Said("a"), Said("no")),
        (Said("Hello"),),
        (Said("never"), Called("c", "f", {})),
        (Answered("c", ()), Said("Hello")),
    ]


def test_instructions_stand_apart_in_their_order() -> None:
    said = talk({"role": "system", "content": "a"}, *HELLO, {"role": "developer", "content": "b", "name": "Ann"})
    assert said.system == (Said("a"), Said("b"))
    assert said.dropped == ("messages[2].name",)


def test_nothing_to_answer_is_refused() -> None:
    with pytest.raises(Failure) as caught:
        talk({"role": "system", "content": "a"}, {"role": "user", "content": ""})
    assert caught.value.param == "messages"


def test_custom_calls_are_refused() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": ""}}
    with pytest.raises(Failure) as caught:
        talk(*HELLO, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": ""})
    assert caught.value.param == "messages[1].tool_calls[0].type"
