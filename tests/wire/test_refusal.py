"""The official words, `param` and `code` for each way in which a value can be wrong."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.failures import Failure
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.limits import Limits
from riverrun.wire.refusal import HINTS, mismatch
from riverrun.wire.request import ChatRequest, parse_chat
from tests.wire.valid import encode, with_


def refused(body: bytes) -> Failure:
    with pytest.raises(Failure) as caught:
        parse_chat(body, Limits(n=128, stop=10))
    return caught.value


def says(**changes: JsonValue) -> tuple[str, str | None, str | None]:
    failure = refused(with_(**changes))
    assert failure.status == 400
    assert failure.type == "invalid_request_error"
    return failure.message, failure.param, failure.code


def user(content: JsonValue) -> list[JsonValue]:
    return [{"role": "user", "content": content}]


def test_missing() -> None:
    for name, body in (("messages", {"model": "m"}), ("model", {"messages": user("Hi")})):
        failure = refused(encode(body))
        assert failure.message.startswith(f"Missing required parameter: '{name}'.")
        assert (failure.param, failure.code) == (name, "missing_required_parameter")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": user([{"type": "text"}])}, "messages[0].content[0].text"),
        ({"messages": user([{"text": "x"}])}, "messages[0].content[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"prediction": {"content": "x"}}, "prediction.type"),
        ({"moderation": {}}, "moderation.model"),
        ({"audio": {"format": "wav"}}, "audio.voice"),
        ({"web_search_options": {"user_location": {"approximate": {}}}}, "web_search_options.user_location.type"),
    ],
)
def test_missing_inside(changes: dict[str, JsonValue], param: str) -> None:
    message, where, code = says(**changes)
    assert message.startswith(f"Missing required parameter: '{param}'.")
    assert (where, code) == (param, "missing_required_parameter")


@pytest.mark.parametrize(
    ("changes", "param", "expected", "got"),
    [
        ({"temperature": "hot"}, "temperature", "a decimal", "a string"),
        ({"temperature": True}, "temperature", "a decimal", "a boolean"),
        ({"max_tokens": 139.75}, "max_tokens", "an integer", "a decimal number"),
        ({"max_tokens": "9"}, "max_tokens", "an integer", "a string"),
        ({"n": 1.0}, "n", "an integer", "a decimal number"),
        ({"n": True}, "n", "an integer", "a boolean"),
        ({"stream": "true"}, "stream", "a boolean", "a string"),
        ({"stream": 1}, "stream", "a boolean", "an integer"),
        ({"logprobs": 0}, "logprobs", "a boolean", "an integer"),
        ({"model": None}, "model", "a string", "null"),
        ({"model": 3}, "model", "a string", "an integer"),
        ({"messages": "Hi"}, "messages", "an array of objects", "a string"),
        ({"messages": ["Hi"]}, "messages[0]", "an object", "a string"),
        ({"messages": [None]}, "messages[0]", "an object", "null"),
        ({"messages": [{"role": 1, "content": ""}]}, "messages[0].role", "a string", "an integer"),
        ({"messages": user({})}, "messages[0].content", "one of a string or array of objects", "an object"),
        ({"messages": user(None)}, "messages[0].content", "one of a string or array of objects", "null"),
        ({"messages": user(["Hi"])}, "messages[0].content[0]", "an object", "a string"),
        ({"stop": 3}, "stop", "one of a string or array of strings", "an integer"),
        ({"stop": [3]}, "stop[0]", "a string", "an integer"),
        ({"tool_choice": 3}, "tool_choice", "one of a string or object", "an integer"),
        ({"stream_options": []}, "stream_options", "an object", "an array"),
        ({"logit_bias": []}, "logit_bias", "an object", "an array"),
        ({"logit_bias": {"1": 1.5}}, "logit_bias.1", "an integer", "a decimal number"),
        ({"metadata": {"a": 1}}, "metadata.a", "a string", "an integer"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
            "an object",
            "an array",
        ),
    ],
)
def test_wrong_type(changes: dict[str, JsonValue], param: str, expected: str, got: str) -> None:
    message, where, code = says(**changes)
    assert message.startswith(f"Invalid type for '{param}': expected {expected}, but got {got} instead.")
    assert (where, code) == (param, "invalid_type")


@pytest.mark.parametrize(
    ("name", "value", "rule", "bound"),
    [
        ("temperature", 200, "decimal above maximum", "<= 2"),
        ("temperature", -0.1, "decimal below minimum", ">= 0"),
        ("top_p", 1.1, "decimal above maximum", "<= 1"),
        ("top_p", -1, "decimal below minimum", ">= 0"),
        ("presence_penalty", 2.5, "decimal above maximum", "<= 2"),
        ("frequency_penalty", -2.5, "decimal below minimum", ">= -2"),
        ("n", 0, "integer below minimum", ">= 1"),
        ("max_tokens", 0, "integer below minimum", ">= 1"),
        ("max_completion_tokens", -5, "integer below minimum", ">= 1"),
        ("top_logprobs", -1, "integer below minimum", ">= 0"),
        ("seed", 2**63, "integer above maximum", f"<= {2**63 - 1}"),
    ],
)
def test_out_of_range(name: str, value: float, rule: str, bound: str) -> None:
    message, where, code = says(**{name: value})
    assert message == f"Invalid '{name}': {rule} value. Expected a value {bound}, but got {value} instead."
    kind, side, _ = rule.split()
    assert (where, code) == (name, f"{kind}_{side}_{'max' if side == 'above' else 'min'}_value")


@pytest.mark.parametrize("value", [-101, 101])
def test_bias_out_of_range(value: int) -> None:
    assert says(logit_bias={"5": value})[1] == "logit_bias.5"


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        (
            {"messages": [{"role": "x", "content": ""}]},
            "messages[0].role",
            "Invalid value: 'x'. Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', and "
            "'function'.",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "Invalid value: 'image_url'. Supported values are: 'text' and 'refusal'.",
        ),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "Invalid value: 'image_url'. Supported values are: 'text'.",
        ),
        (
            {"response_format": {"type": "xml"}},
            "response_format.type",
            "Invalid value: 'xml'. Supported values are: 'text', 'json_object', and 'json_schema'.",
        ),
        (
            {"modalities": ["smell"]},
            "modalities[0]",
            "Invalid value: 'smell'. Supported values are: 'audio' and 'text'.",
        ),
        (
            {"tool_choice": "x" * 99},
            "tool_choice",
            f"Invalid value: '{'x' * 64}'. Supported values are: 'auto', 'none', and 'required'.",
        ),
    ],
)
def test_unsupported_value(changes: dict[str, JsonValue], param: str, message: str) -> None:
    assert says(**changes) == (message, param, "invalid_value")


def test_lengths() -> None:
    for name in ("messages", "tools", "functions", "stop", "modalities"):
        message, where, code = says(**{name: []})
        assert message.startswith(
            f"Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        assert (where, code) == (name, "empty_array")
    assert says(messages=user([]))[1:] == ("messages[0].content", "empty_array")
    assert says(messages=[{"role": "assistant", "content": "", "tool_calls": []}])[1:] == (
        "messages[0].tool_calls",
        "empty_array",
    )
    assert says(model="") == (
        "Invalid 'model': empty string. Expected a string with minimum length 1, but got an empty string instead. "
        "GET /v1/models lists the names.",
        "model",
        "empty_string",
    )
    assert says(metadata={"a": "x" * 513}) == (
        "Invalid 'metadata.a': string too long. Expected a string with maximum length 512, "
        "but got a string with length 513 instead.",
        "metadata.a",
        "string_above_max_length",
    )
    assert says(metadata={"k" * 65: ""})[1:] == (f"metadata.{'k' * 64}", "string_above_max_length")
    assert says(metadata={str(index): "" for index in range(17)}) == (
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead.",
        "metadata",
        "object_above_max_properties",
    )


@pytest.mark.parametrize("name", ["a b", "a.b", "look\n", "ä"])
def test_names_of_tools(name: str) -> None:
    rule = "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
    for changes, param in (
        ({"tools": [{"type": "function", "function": {"name": name}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "custom", "custom": {"name": name}}]}, "tools[0].custom.name"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": name}}},
            "response_format.json_schema.name",
        ),
    ):
        assert says(**changes) == (f"Invalid '{param}': {rule}", param, "invalid_value")


def test_a_name_has_64_characters_at_most() -> None:
    assert parse_chat(with_(functions=[{"name": "f" * 64}])).request.functions is not None
    assert says(functions=[{"name": "f" * 65}])[1:] == ("functions[0].name", "string_above_max_length")


def test_hints_follow_the_official_sentence() -> None:
    message, _, _ = says(stream="yes")
    assert message.endswith(f"instead. {HINTS['stream']}")
    message, _, _ = says(messages=[{"role": "user", "content": ""}, {"role": "user"}])
    assert message.endswith(HINTS["messages[].content"])


def test_every_hint_belongs_to_a_parameter() -> None:
    assert {name.split("[")[0] for name in HINTS} <= set(ChatRequest.__struct_fields__)


def test_the_first_of_several_mistakes_is_named() -> None:
    assert says(messages=[{"role": "user"}, {"role": "x"}], temperature=9)[1] == "messages[0].content"


def test_too_short_a_string_or_array_of_another_type() -> None:
    pair = msgspec.defstruct("Pair", [("both", tuple[int, ...]), ("word", str)])
    assert mismatch({"both": [1, "x"], "word": ""}, pair).param == "both[1]"


def test_a_value_that_fits_gets_a_refusal_that_admits_it() -> None:
    fits: JsonValue = {"model": "m", "messages": user("Hi")}
    assert "no reason could be found" in mismatch(fits, ChatRequest).message
