from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.cohere import Cohere
from tests.dialects.asks import HELLO, ask
from tests.dialects.speaking import asked, at, dropped, refused

COHERE = Cohere()
TO = at("cohere")
PARAMETERS = {"type": "object", "properties": {"a": {"type": "integer"}}}
TOOLS = [
    {"type": "function", "function": {"name": "f", "description": "d", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "g"}},
]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def test_a_plain_request() -> None:
    out = COHERE.encode(ask(), TO)
    assert (out.path, out.dropped) == ("/chat", ())
    assert asked(COHERE, TO) == {"model": "theirs", "stream": True, "messages": HELLO}


def test_settings_have_other_names_and_narrower_ranges() -> None:
    body = asked(
        COHERE, TO, temperature=0.5, top_p=1, frequency_penalty=1, presence_penalty=0.5, max_tokens=7, stop=["x"],
        seed=-1, top_k=4, safety_mode="STRICT",
    )  # fmt: skip
    del body["messages"], body["model"], body["stream"]
    assert body == {
        "temperature": 0.5, "p": 0.99, "frequency_penalty": 1, "presence_penalty": 0.5, "max_tokens": 7,
        "stop_sequences": ["x"], "seed": 2**63 - 1, "k": 4, "safety_mode": "STRICT",
    }  # fmt: skip
    assert asked(COHERE, TO, top_p=0)["p"] == 0.01
    assert refused(COHERE, TO, presence_penalty=-0.5) == "presence_penalty"
    assert refused(COHERE, TO, frequency_penalty=1.5) == "frequency_penalty"


def test_messages() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}
    body = asked(
        COHERE,
        TO,
        messages=[
            {"role": "developer", "content": [{"type": "text", "text": "d"}]},
            {"role": "user", "content": [{"type": "text", "text": "what"}, image]},
            {"role": "assistant", "content": None, "reasoning_content": "plan", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "1", "content": "sunny"},
            {"role": "assistant", "content": "so", "reasoning": "thought"},
            {"role": "assistant", "content": "plain"},
        ],
    )
    assert body["messages"] == [
        {"role": "system", "content": "d"},
        {"role": "user", "content": [{"type": "text", "text": "what"}, image]},
        {"role": "assistant", "tool_calls": [CALL], "tool_plan": "plan"},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "thought"}, {"type": "text", "text": "so"}],
        },
        {"role": "assistant", "content": "plain"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ],
)
def test_a_part_that_cant_be_said_is_named(part: dict[str, Any]) -> None:
    assert refused(COHERE, TO, messages=[{"role": "user", "content": [part]}]) == "messages[0].content[0]"


def test_tools_and_the_choice_among_them() -> None:
    body = asked(COHERE, TO, tools=TOOLS)
    assert [tool["function"] for tool in body["tools"]] == [
        {"name": "f", "description": "d", "parameters": PARAMETERS},
        {"name": "g", "parameters": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in body
    none = asked(COHERE, TO, tools=TOOLS, tool_choice="none")
    assert (none["tool_choice"], len(none["tools"])) == ("NONE", 2)
    assert asked(COHERE, TO, tools=TOOLS, tool_choice="required")["tool_choice"] == "REQUIRED"
    named = asked(COHERE, TO, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "g"}})
    assert (named["tool_choice"], [tool["function"]["name"] for tool in named["tools"]]) == ("REQUIRED", ["g"])


def test_strict_tools() -> None:
    strict = [{"type": "function", "function": {"name": "f", "strict": True}}]
    assert asked(COHERE, TO, tools=strict)["strict_tools"] is True
    assert "strict_tools" not in asked(COHERE, TO, tools=TOOLS)


def test_structured_output() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS}}
    assert asked(COHERE, TO, response_format=wanted)["response_format"] == {
        "type": "json_object", "json_schema": PARAMETERS
    }  # fmt: skip
    assert asked(COHERE, TO, response_format={"type": "json_object"})["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("effort", "thinking", "hints"),
    [
        ("none", {"type": "disabled"}, ()),
        ("high", {"type": "enabled"}, ()),
        ("low", None, ("reasoning_effort",)),
        (None, None, ()),
    ],
)
def test_an_effort_is_a_switch(effort: str | None, thinking: object, hints: tuple[str, ...]) -> None:
    assert asked(COHERE, TO, reasoning_effort=effort).get("thinking") == thinking
    assert dropped(COHERE, TO, reasoning_effort=effort) == hints


def test_the_callers_own_thinking_goes_before_an_effort() -> None:
    budget = {"type": "enabled", "token_budget": 99}
    assert asked(COHERE, TO, reasoning_effort="none", thinking=budget)["thinking"] == budget
    assert dropped(COHERE, TO, reasoning_effort="none", thinking=budget) == ("reasoning_effort",)


@pytest.mark.parametrize("param", ["logprobs", "logit_bias", "web_search_options"])
def test_what_changes_the_meaning_is_refused_by_name(param: str) -> None:
    values: dict[str, Any] = {"logprobs": True, "logit_bias": {"1": 1}, "web_search_options": {}}
    assert refused(COHERE, TO, **{param: values[param]}) == param
    assert dropped(COHERE, TO, logprobs=False, logit_bias={}) == ()
