from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from riverrun.dialects.responses import Responses
from tests.dialects.asks import HELLO, ask
from tests.dialects.responding import TO, refused, sent

ENCRYPTED = {"type": "reasoning.encrypted", "id": "rs_1", "data": "zz", "format": "openai-responses-v1", "index": 0}


def items(*messages: Mapping[str, Any]) -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = sent(ask(messages=list(messages)))["input"]
    return given


def test_roles_and_texts_stay_as_they_are() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "In verse"}]},
        {"role": "user", "content": "Hi"},
    ]
    assert items(*messages) == [
        messages[0],
        {"role": "developer", "content": [{"type": "input_text", "text": "In verse"}]},
        messages[2],
    ]


def test_parts_of_what_the_user_says() -> None:
    content = [
        {"type": "text", "text": "See", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    (message,) = items({"role": "user", "content": content})
    assert message["content"] == [
        {"type": "input_text", "text": "See", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_id": "file-1"},
    ]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]},
            "messages[1].content[0]",
        ),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[1].audio"),
    ],
)
def test_sound_has_no_place(message: dict[str, Any], param: str) -> None:
    failure = refused(ask(messages=[*HELLO, message]))
    assert (failure.status, failure.param) == (400, param)


def test_a_tool_round_trip_with_the_thoughts_before_what_came_of_them() -> None:
    called = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    round_trip = items(
        *HELLO,
        {
            "role": "assistant",
            "content": "Let me see",
            "reasoning_content": "hm",
            "reasoning_details": [ENCRYPTED],
            "tool_calls": [called],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "43"}]},
    )
    assert round_trip[1:] == [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": "zz", "summary": []},
        {"role": "assistant", "content": "Let me see"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "42"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "43"}]},
    ]


@pytest.mark.parametrize(
    "detail",
    [
        {**ENCRYPTED, "format": "anthropic-claude-v1"},
        {**ENCRYPTED, "type": "reasoning.text"},
        {**ENCRYPTED, "id": None},
        {**ENCRYPTED, "data": 7},
        "zz",
    ],
)
def test_thoughts_of_others_are_left_out(detail: object) -> None:
    (said,) = items({"role": "assistant", "content": "Hi", "reasoning_details": [detail]})
    assert said == {"role": "assistant", "content": "Hi"}
    assert len(items({"role": "assistant", "content": "Hi", "reasoning_details": "none"})) == 1


def test_refusals_and_silence() -> None:
    refusal = {"type": "refusal", "refusal": "No"}
    content = [{"type": "text", "text": "Well"}, refusal]
    assert items({"role": "assistant", "content": content}) == [
        {"role": "assistant", "content": [{"type": "output_text", "text": "Well"}, refusal]}
    ]
    assert items({"role": "assistant", "content": None, "refusal": "No"}) == [
        {"role": "assistant", "content": [refusal]}
    ]
    assert items({"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""})[1:] == []


def test_custom_and_deprecated_calls_of_the_past() -> None:
    custom = {"id": "call_1", "type": "custom", "custom": {"name": "c", "input": "x"}}
    assert items(
        {"role": "assistant", "tool_calls": [custom]}, {"role": "tool", "tool_call_id": "call_1", "content": "y"}
    ) == [
        {"type": "custom_tool_call", "call_id": "call_1", "name": "c", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "y"},
    ]
    old = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}
    assert items(old, {"role": "function", "name": "f", "content": "y"}) == [
        {"type": "function_call", "call_id": "call_0", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": "y"},
    ]


def test_a_name_is_left_out_and_named() -> None:
    one = ask(messages=[{"role": "user", "content": "Hi", "name": "bob"}])
    assert Responses().encode(one, TO).dropped == ("messages[0].name",)
    assert sent(one)["input"] == [{"role": "user", "content": "Hi"}]
