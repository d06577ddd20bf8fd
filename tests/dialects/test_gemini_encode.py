from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.gemini import Gemini
from tests.dialects.asks import ask
from tests.dialects.speaking import asked, at, dropped, refused

GEMINI = Gemini()
TOOLS = [
    {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
    {"type": "function", "function": {"name": "g"}},
]
DECLARED = [
    {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}},
    {"name": "g", "description": ""},
]


def generation(model: str = "gemini-3-flash", **body: Any) -> dict[str, Any]:
    config: dict[str, Any] = asked(GEMINI, at("gemini", model), **body)["generationConfig"]
    return config


def test_the_model_and_the_stream_stand_in_the_path() -> None:
    assert GEMINI.encode(ask(), at("gemini", "gemini-3-flash")).path == (
        "/models/gemini-3-flash:streamGenerateContent?alt=sse"
    )
    assert GEMINI.encode(ask(), at("vertex", "a b?c")).path == "/models/a%20b%3Fc:streamGenerateContent?alt=sse"


def test_settings_have_other_names() -> None:
    config = generation(
        temperature=0.5, top_p=0.9, frequency_penalty=1, presence_penalty=-1, max_completion_tokens=9, max_tokens=7,
        stop=["x", ""], seed=-1, top_k=4, logprobs=True, top_logprobs=3,
    )  # fmt: skip
    assert config == {
        "temperature": 0.5, "topP": 0.9, "frequencyPenalty": 1, "presencePenalty": -1, "maxOutputTokens": 9,
        "stopSequences": ["x"], "seed": 2**31 - 1, "topK": 4, "responseLogprobs": True, "logprobs": 3,
        "thinkingConfig": {"includeThoughts": True}, "responseModalities": ["TEXT"],
    }  # fmt: skip


def test_the_targets_own_sampling_stands_where_the_caller_gave_none() -> None:
    to = at("gemini", "gemini-2.0-flash", sampling=(("temperature", 0.2), ("top_k", 20)))
    assert asked(GEMINI, to, temperature=1)["generationConfig"]["temperature"] == 1
    assert asked(GEMINI, to)["generationConfig"]["topK"] == 20


def test_several_answers_are_one_request_up_to_eight() -> None:
    one = ask(choices=tuple(range(8)), n=8)
    assert asked(GEMINI, at("gemini"), one)["generationConfig"]["candidateCount"] == 8
    with pytest.raises(Exception, match="'n'"):
        GEMINI.encode(ask(choices=tuple(range(9)), n=9), at("gemini"))


def test_tools_and_the_choice_among_them() -> None:
    def calling(**body: Any) -> Any:
        return asked(GEMINI, at("gemini"), tools=TOOLS, **body).get("toolConfig")

    def config(mode: str, *names: str) -> dict[str, Any]:
        allowed = {"allowedFunctionNames": [*names]} if names else {}
        return {"functionCallingConfig": {"mode": mode, **allowed}}

    assert asked(GEMINI, at("gemini"), tools=TOOLS)["tools"] == [{"functionDeclarations": DECLARED}]
    assert calling() is None
    assert calling(tool_choice="none") == config("NONE")
    assert calling(tool_choice="required") == config("ANY")
    assert calling(tool_choice={"type": "function", "function": {"name": "g"}}) == config("ANY", "g")


def test_some_of_the_tools() -> None:
    some = [{"type": "function", "function": {"name": "f"}}]
    for mode, expected in (("required", 2), ("auto", 1)):
        choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": some}}
        body = asked(GEMINI, at("gemini"), tools=TOOLS, tool_choice=choice)
        assert len(body["tools"][0]["functionDeclarations"]) == expected
        assert ("toolConfig" in body) is (mode == "required")


def test_a_strict_function_is_validated_where_the_model_can() -> None:
    strict = [{"type": "function", "function": {"name": "f", "strict": True}}]
    body = asked(GEMINI, at("gemini", "gemini-2.5-flash"), tools=strict)
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert "toolConfig" not in asked(GEMINI, at("gemini", "gemini-2.0-flash"), tools=strict)


def test_the_deprecated_functions_are_tools() -> None:
    old: dict[str, Any] = {"functions": [{"name": "g"}], "function_call": {"name": "g"}}
    body = asked(GEMINI, at("gemini"), **old)
    assert dropped(GEMINI, at("gemini"), **old) == ()
    assert body["tools"] == [{"functionDeclarations": DECLARED[1:]}]
    assert body["toolConfig"]["functionCallingConfig"]["mode"] == "ANY"


def test_a_search_on_the_web_is_a_tool() -> None:
    assert asked(GEMINI, at("gemini"), web_search_options={})["tools"] == [{"googleSearch": {}}]
    assert dropped(GEMINI, at("gemini"), web_search_options={}) == ()
    how = {"search_context_size": "low"}
    assert dropped(GEMINI, at("gemini"), web_search_options=how) == ("web_search_options",)


def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert generation(response_format=wanted).items() >= {
        "responseMimeType": "application/json", "responseJsonSchema": schema
    }.items()  # fmt: skip
    assert generation(response_format={"type": "json_object"})["responseMimeType"] == "application/json"
    assert "responseMimeType" not in generation(response_format={"type": "text"})


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-3-flash", "none", {"includeThoughts": True, "thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash", "max", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", "medium", {"includeThoughts": True, "thinkingLevel": "LOW"}),
        ("gemini-2.5-flash", "none", {"includeThoughts": False, "thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"includeThoughts": True, "thinkingBudget": 128}),
        ("gemini-2.5-flash", "high", {"includeThoughts": True, "thinkingBudget": 24576}),
        ("gemini-2.5-flash", None, {"includeThoughts": True}),
    ],
)
def test_an_effort_is_a_level_or_a_budget(model: str, effort: str | None, config: dict[str, Any]) -> None:
    assert generation(model, reasoning_effort=effort)["thinkingConfig"] == config


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash-image", "gemma-3"])
def test_a_model_that_does_not_think_is_not_told_to(model: str) -> None:
    assert "thinkingConfig" not in generation(model, reasoning_effort="low")
    assert dropped(GEMINI, at("gemini", model), reasoning_effort="low") == ("reasoning_effort",)


def test_the_callers_own_thinking_config_goes_before_an_effort() -> None:
    body: dict[str, Any] = {"thinking_config": {"thinkingBudget": 5}, "reasoning_effort": "high"}
    assert generation("gemini-2.5-flash", **body)["thinkingConfig"] == {"thinkingBudget": 5}
    assert dropped(GEMINI, at("gemini", "gemini-2.5-flash"), **body) == ("reasoning_effort",)


def test_extras_are_said_where_they_belong_and_others_are_dropped() -> None:
    safety = [{"category": "c", "threshold": "t"}]
    body = asked(GEMINI, at("gemini"), safety_settings=safety, cached_content="cachedContents/1", labels={"a": "b"})
    assert (body["safetySettings"], body["cachedContent"]) == (safety, "cachedContents/1")
    assert "labels" not in body
    assert dropped(GEMINI, at("gemini"), labels={"a": "b"}, colour="red") == ("labels", "colour")
    assert asked(GEMINI, at("vertex"), labels={"a": "b"})["labels"] == {"a": "b"}


def test_a_tier_is_said_to_the_one_house_and_a_hint_to_the_other() -> None:
    assert asked(GEMINI, at("gemini"), service_tier="default")["serviceTier"] == "standard"
    assert dropped(GEMINI, at("gemini"), service_tier="scale") == ("service_tier",)
    assert "serviceTier" not in asked(GEMINI, at("vertex"), service_tier="flex")
    assert dropped(GEMINI, at("vertex"), service_tier="flex") == ("service_tier",)
    assert dropped(GEMINI, at("gemini"), service_tier="auto") == ()


@pytest.mark.parametrize(
    ("param", "body"),
    [
        ("logit_bias", {"logit_bias": {"1": 5}}),
        ("modalities", {"modalities": ["text", "audio"], "audio": {"voice": "v", "format": "wav"}}),
        ("moderation", {"moderation": {"model": "m"}}),
        ("tools[0].type", {"tools": [{"type": "custom", "custom": {"name": "c"}}]}),
    ],
)
def test_what_changes_the_meaning_is_refused_by_name(param: str, body: dict[str, Any]) -> None:
    assert refused(GEMINI, at("gemini"), **body) == param


def test_hints_are_dropped_and_named() -> None:
    hints: dict[str, Any] = {
        "user": "u", "verbosity": "low", "prompt_cache_key": "k", "parallel_tool_calls": False, "tools": TOOLS,
    }  # fmt: skip
    assert set(dropped(GEMINI, at("gemini"), **hints)) == {
        "user",
        "verbosity",
        "prompt_cache_key",
        "parallel_tool_calls",
    }
    assert dropped(GEMINI, at("gemini"), tools=TOOLS, parallel_tool_calls=True, store=True, metadata={"a": "b"}) == ()
