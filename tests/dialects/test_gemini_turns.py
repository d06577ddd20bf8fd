from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.gemini import Gemini
from riverrun.dialects.gemini_turns import UNSIGNED
from tests.dialects.speaking import asked, at, dropped, refused

GEMINI = Gemini()
PNG = "data:image/png;base64,iVBO"
SIGNATURE = {"type": "reasoning.encrypted", "data": "c2ln", "format": "google-gemini-v1"}


def contents(*messages: dict[str, Any], row: str = "gemini", model: str = "gemini-3-flash") -> Any:
    return asked(GEMINI, at(row, model), messages=messages)["contents"]


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": [*parts]}


def call(id: str, arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_instructions_are_gathered_in_order() -> None:
    body = asked(
        GEMINI,
        at("gemini"),
        messages=[
            {"role": "system", "content": "a"},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        ],
    )
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b\nc"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_instructions_alone_still_have_a_turn() -> None:
    assert contents({"role": "system", "content": "a"}) == [{"role": "user", "parts": [{"text": ""}]}]


def test_turns_of_one_side_are_one() -> None:
    assert contents(
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}
    ) == [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}, {"role": "model", "parts": [{"text": "c"}]}]


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "text", "text": "t"}, {"text": "t"}),
        ({"type": "image_url", "image_url": {"url": PNG}}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}),
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a.JPG?b=c"}},
            {"fileData": {"fileUri": "https://x.test/a.JPG?b=c", "mimeType": "image/jpeg"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.test/a"}},
            {"fileData": {"fileUri": "https://x.test/a"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"filename": "a", "file_data": "data:video/mp4;base64,AAAA"}},
            {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}},
        ),
        (
            {"type": "file", "file": {"file_id": "gs://bucket/a.mp4"}},
            {"fileData": {"fileUri": "gs://bucket/a.mp4", "mimeType": "video/mp4"}},
        ),
    ],
)
def test_parts(part: dict[str, Any], sent: dict[str, Any]) -> None:
    assert contents(user(part)) == [{"role": "user", "parts": [sent]}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-123"}},
        {"type": "file", "file": {"filename": "a.unknown", "file_data": "AAAA"}},
        {"type": "file", "file": {}},
        {"type": "image_url", "image_url": {"url": "data:,x"}},
    ],
)
def test_a_part_that_cant_be_said_is_named(part: dict[str, Any]) -> None:
    messages = [user({"type": "text", "text": "t"}, part)]
    assert refused(GEMINI, at("gemini"), messages=messages) == "messages[0].content[1]"


def test_hints_of_parts_are_named() -> None:
    closely = user(
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
    )
    named = {"role": "user", "content": "x", "name": "me"}
    hints = dropped(GEMINI, at("gemini"), messages=[closely, named])
    assert hints == ("image_url.detail", "prompt_cache_breakpoint", "messages.name")


def test_calls_and_results() -> None:
    sent = contents(
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [call("1", '{"a": 1}'), call("2", name="g")]},
        {"role": "tool", "tool_call_id": "1", "content": '{"b": 2}'},
        {"role": "tool", "tool_call_id": "2", "content": "[3]"},
        model="gemini-2.0-flash",
    )
    assert sent[1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
                {"functionCall": {"id": "2", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "1", "name": "f", "response": {"b": 2}}},
                {"functionResponse": {"id": "2", "name": "g", "response": {"output": [3]}}},
            ],
        },
    ]


def test_results_stand_alone() -> None:
    sent = contents(
        {"role": "assistant", "tool_calls": [call("1")]},
        {"role": "tool", "tool_call_id": "1", "content": "{}"},
        {"role": "user", "content": "x"},
    )
    assert [(turn["role"], len(turn["parts"])) for turn in sent] == [("model", 1), ("user", 1), ("user", 1)]


def test_a_result_that_is_no_json_stands_under_output() -> None:
    turns = (
        {"role": "assistant", "tool_calls": [call("1")]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    )
    assert contents(*turns)[1]["parts"][0]["functionResponse"]["response"] == {"output": "sunny"}


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
def test_arguments_that_are_no_object_are_named(arguments: str) -> None:
    message = {"role": "assistant", "tool_calls": [call("1"), call("2", arguments)]}
    results = [{"role": "tool", "tool_call_id": id, "content": "x"} for id in "12"]
    param = refused(GEMINI, at("gemini"), messages=[message, *results])
    assert param == "messages[0].tool_calls[1].function.arguments"


def test_signatures_go_back_to_the_call_and_the_text_they_came_with() -> None:
    message = {
        "role": "assistant",
        "content": "words",
        "tool_calls": [call("1"), call("2")],
        "reasoning_details": [{**SIGNATURE, "id": "1", "index": 0}, {**SIGNATURE, "data": "dGV4dA==", "index": 1}],
    }
    results = [{"role": "tool", "tool_call_id": id, "content": "x"} for id in "12"]
    first, second, third = contents(message, *results)[0]["parts"]
    assert first == {"text": "words", "thoughtSignature": "dGV4dA=="}
    assert second["thoughtSignature"] == "c2ln"
    assert "thoughtSignature" not in third


def test_a_signature_without_text_has_a_part_of_its_own() -> None:
    message = {"role": "assistant", "content": None, "refusal": "", "reasoning_details": [SIGNATURE]}
    assert contents(message)[0]["parts"] == [{"text": "", "thoughtSignature": "c2ln"}]


@pytest.mark.parametrize(
    ("model", "details", "signature"),
    [
        ("gemini-3-flash", [], UNSIGNED),
        ("gemini-3-flash", [{**SIGNATURE, "id": "1", "format": "google-vertex-v1"}], UNSIGNED),
        ("gemini-3-flash", [{**SIGNATURE, "id": "1", "format": "anthropic-claude-v1"}], UNSIGNED),
        ("gemini-3-flash", [{**SIGNATURE, "id": "1"}], "c2ln"),
        ("gemini-2.0-flash", [], None),
    ],
)
def test_a_signature_that_was_lost_or_is_anothers_is_stood_in_for(
    model: str, details: list[dict[str, str]], signature: str | None
) -> None:
    message = {"role": "assistant", "tool_calls": [call("1")], "reasoning_details": details}
    result = {"role": "tool", "tool_call_id": "1", "content": "x"}
    assert contents(message, result, model=model)[0]["parts"][0].get("thoughtSignature") == signature


def test_vertex_takes_its_own_signatures() -> None:
    details = [{**SIGNATURE, "id": "1", "format": "google-vertex-v1"}]
    message = {"role": "assistant", "tool_calls": [call("1")], "reasoning_details": details}
    result = {"role": "tool", "tool_call_id": "1", "content": "x"}
    assert contents(message, result, row="vertex")[0]["parts"][0]["thoughtSignature"] == "c2ln"


def test_an_answer_in_sound_is_refused() -> None:
    message = {"role": "assistant", "audio": {"id": "audio_1"}}
    assert refused(GEMINI, at("gemini"), messages=[message]) == "messages[0].audio"


def test_old_function_messages_are_results() -> None:
    sent = contents(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
    )
    assert sent[1]["parts"][0]["functionResponse"]["name"] == "f"
