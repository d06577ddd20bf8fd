from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from riverrun.failures import Failure
from riverrun.stream.tools import MOST_CALLS, explained, menu
from tests.stream.requests import HELLO, chat

WEATHER = {
    "name": "weather",
    "description": "Weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"$ref": "#/$defs/C"}}, "required": ["city"],
                   "$defs": {"C": {"type": "string"}}},
}  # fmt: skip
NOW: dict[str, Any] = {"name": "now"}
TOOLS = [{"type": "function", "function": each} for each in (WEATHER, NOW)]
RAIN = {"tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}]}
TIME = {"tool_calls": [{"name": "now", "arguments": {}}]}
SAID = {"content": "It rains."}


def schema(**body: Any) -> Any:
    wanted: Any = explained(chat(tools=TOOLS, **body))["response_format"]
    return wanted["json_schema"]["schema"]


def allows(document: object, **body: Any) -> bool:
    return jsonschema.Draft202012Validator(schema(**body)).is_valid(document)


def named(name: str) -> dict[str, object]:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, object]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named(name) for name in names]}}


@pytest.mark.parametrize(
    ("choice", "documents"),
    [
        (None, [SAID, RAIN, TIME]),
        ("auto", [SAID, RAIN, TIME]),
        ("required", [RAIN, TIME]),
        (named("now"), [TIME]),
        (allowed("auto", "weather"), [SAID, RAIN]),
        (allowed("required", "weather", "now"), [RAIN, TIME]),
    ],
)
def test_the_schema_allows_what_the_choice_allows(choice: object, documents: list[object]) -> None:
    for document in (SAID, RAIN, TIME):
        assert allows(document, tool_choice=choice) == (document in documents)
    assert not allows({}, tool_choice=choice)
    assert not allows({"tool_calls": []}, tool_choice=choice)
    assert not allows({"tool_calls": [{"name": "weather", "arguments": {}}]}, tool_choice=choice)
    assert not allows({"tool_calls": [{"name": "other", "arguments": {}}]}, tool_choice=choice)


def test_how_many_calls_there_may_be() -> None:
    two = {"tool_calls": TIME["tool_calls"] * 2}
    assert allows(two)
    assert not allows(two, parallel_tool_calls=False)
    assert not allows(two, tool_choice=named("now"))
    assert not allows({"tool_calls": TIME["tool_calls"] * (MOST_CALLS + 1)})


def test_the_callers_own_format_rules_the_content() -> None:
    numbers = {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "required": ["n"],
               "$defs": {"N": {"type": "integer"}}}  # fmt: skip
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": numbers}}
    assert allows({"content": {"n": 5}}, response_format=wanted)
    assert not allows(SAID, response_format=wanted)
    assert allows(RAIN, response_format=wanted)
    assert allows({"content": {"a": 1}}, response_format={"type": "json_object"})
    assert not allows(SAID, response_format={"type": "json_object"})
    assert allows(SAID, response_format={"type": "text"})


def test_parameters_without_a_type_are_an_object() -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"title": "F"}}}]
    wanted: Any = explained(chat(tools=tools))["response_format"]
    assert wanted["json_schema"]["schema"]["$defs"]["f0"] == {"type": "object", "title": "F"}


def test_the_functions_are_explained_in_the_system_message() -> None:
    alone: Any = explained(chat(tools=TOOLS))["messages"]
    assert [each["role"] for each in alone] == ["system", "user"]
    assert "weather: Weather of a city" in alone[0]["content"]
    assert '"content"' in alone[0]["content"]
    system = {"role": "system", "content": "Be brief."}
    joined: Any = explained(chat(tools=TOOLS, tool_choice="required", messages=[system, *HELLO]))["messages"]
    assert joined[0]["content"].startswith("Be brief.\n\n")
    assert '"content"' not in joined[0]["content"]
    parts = {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}
    listed: Any = explained(chat(tools=TOOLS, messages=[parts, *HELLO]))["messages"]
    assert [each["type"] for each in listed[0]["content"]] == ["text", "text"]


def test_calls_and_results_become_plain_text() -> None:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "weather", "arguments": f'{{"city":"{city}"}}'}}
        for n, city in enumerate(["Rome", "Oslo"])
    ]
    messages = [
        *HELLO,
        {"role": "assistant", "content": "Let me see.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c0", "content": "rain"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "snow"}]},
        {"role": "assistant", "content": "Rain and snow."},
        *HELLO,
    ]
    for body in ({}, {"tools": TOOLS, "tool_choice": "none"}):
        out: Any = explained(chat(messages=messages, **body))["messages"]
        assert [each["role"] for each in out] == ["user", "assistant", "user", "assistant", "user"]
        said, _, written = out[1]["content"].partition("\n")
        assert said == "Let me see."
        assert [call["arguments"]["city"] for call in json.loads(written)["tool_calls"]] == ["Rome", "Oslo"]
        assert out[2]["content"] == "Result of weather: rain\nResult of weather: snow"


def test_the_menu_is_none_where_no_call_may_be_made() -> None:
    assert menu(chat()) is None
    assert menu(chat(tools=TOOLS, tool_choice="none")) is None
    assert "response_format" not in explained(chat(tools=TOOLS, tool_choice="none"))


CUSTOM = {"type": "custom", "custom": {"name": "c"}}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": [*TOOLS, CUSTOM]}, "tools[2].type"),
        ({"tools": TOOLS, "logprobs": True}, "logprobs"),
        ({"tools": TOOLS, "stop": "x"}, "stop"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "foo"}}}]}, "tools"),
    ],
)
def test_what_cannot_be_said_names_its_parameter(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Failure) as caught:
        explained(chat(**body))
    assert (caught.value.status, caught.value.param) == (400, param)
