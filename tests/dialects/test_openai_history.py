from __future__ import annotations

from typing import Any

import msgspec
import pytest

from riverrun.dialects.openai import OpenAI
from riverrun.dialects.openai_history import go_on, taken_back
from riverrun.dialects.rows import Thought, derived, parse_rows
from riverrun.failures import Cause, Failure
from riverrun.stream.ask import Ask
from riverrun.wire.jsonvalue import JsonObject, JsonValue
from tests.dialects.asks import HELLO, ask, sent, target

SIGNED: JsonObject = {"type": "reasoning.text", "signature": "sig", "format": "anthropic-claude-v1", "index": 0}
HIDDEN: JsonObject = {"type": "reasoning.encrypted", "data": "zz", "index": 1}


def answered(**thoughts: Any) -> Ask:
    return ask(messages=[*HELLO, {"role": "assistant", "content": "Hi", **thoughts}, {"role": "user", "content": "?"}])


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("compatible", {"reasoning_content": "hm", "reasoning_details": [HIDDEN]}),
        ("openai", {}),
        ("mistral", {}),
        ("deepseek", {"reasoning_content": "hm"}),
        ("groq", {"reasoning": "hm"}),
        ("openrouter", {"reasoning": "hm", "reasoning_details": [HIDDEN]}),
    ],
)
def test_thoughts_go_back_in_the_fields_that_the_upstream_reads(row: str, expected: dict[str, Any]) -> None:
    message = sent(answered(reasoning_content="hm", reasoning_details=[HIDDEN]), target(row))["messages"][1]
    assert message == {"role": "assistant", "content": "Hi", **expected}


def test_a_signed_thought_gets_its_text_back_and_no_other_is_touched() -> None:
    named: tuple[Thought, ...] = ("reasoning", "reasoning_details")
    both = taken_back({"reasoning_content": "hm", "reasoning_details": [HIDDEN, SIGNED]}, named)
    assert both["reasoning_details"] == [HIDDEN, {**SIGNED, "text": "hm"}]
    whole: JsonValue = [{**SIGNED, "text": "as it was"}]
    assert taken_back({"reasoning": "hm", "reasoning_details": whole}, named)["reasoning_details"] == whole
    assert taken_back({"reasoning_details": [SIGNED]}, named) == {"reasoning_details": [SIGNED]}
    assert taken_back({"reasoning": None, "reasoning_details": []}, named) == {}


@pytest.mark.parametrize(
    ("row", "message", "request_"),
    [
        ("mistral", {"prefix": True}, {}),
        ("moonshot", {"partial": True}, {}),
        ("llamacpp", {}, {}),
        ("vllm", {}, {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_the_start_of_an_answer_is_put_where_the_upstream_looks_for_it(
    row: str, message: dict[str, Any], request_: dict[str, Any]
) -> None:
    start = Ask(ask().chat, "chatcmpl-1", 1, "me", prefill="Once upon")
    body = sent(start, target(row))
    assert body["messages"] == [*HELLO, {"role": "assistant", "content": "Once upon", **message}]
    assert request_.items() <= body.items()
    assert "continue_final_message" not in sent(ask(), target(row))


def test_an_upstream_that_would_refuse_it_is_never_asked() -> None:
    with pytest.raises(Failure) as caught:
        go_on({"messages": []}, "Once", "none")
    assert caught.value.cause is Cause.INTERNAL
    rows = parse_rows('[x]\nprefill = { "old-*" = "prefix" }')
    for model, works in (("old-1", True), ("new-1", False)):
        to = msgspec.structs.replace(target("x"), model=model)
        start = Ask(ask().chat, "chatcmpl-1", 1, "me", prefill="Once")
        if works:
            assert b"prefix" in OpenAI(rows).encode(start, to).body
        else:
            with pytest.raises(Failure):
                OpenAI(rows).encode(start, to)
    assert derived(rows["x"], {"prefill": {"*": "partial"}}).prefill_of("new-1") == "partial"
