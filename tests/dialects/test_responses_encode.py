from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.responses import Responses
from riverrun.failures import Cause, Failure
from riverrun.stream.ask import Ask
from tests.dialects.asks import HELLO, ask
from tests.dialects.responding import TO, refused, sent

TOOL = {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}}}
FLAT = {"type": "function", "name": "f", "description": "F", "parameters": {"type": "object"}, "strict": False}


def test_it_is_asked_without_state_for_a_stream_without_padding() -> None:
    out = Responses().encode(ask(store=True, n=3), TO)
    assert (out.path, out.dropped) == ("/responses", ())
    assert sent(ask(store=True, n=3)) == {
        "model": "theirs",
        "input": HELLO,
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"max_completion_tokens": 9, "max_tokens": 8}, {"max_output_tokens": 9}),
        ({"max_tokens": 8}, {"max_output_tokens": 8}),
        ({"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
        ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
        ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
        ({"safety_identifier": "s", "prompt_cache_key": "k"}, {"safety_identifier": "s", "prompt_cache_key": "k"}),
        (
            {"service_tier": "flex", "parallel_tool_calls": False},
            {"service_tier": "flex", "parallel_tool_calls": False},
        ),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
        ({"tools": [TOOL]}, {"tools": [FLAT]}),
        ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [FLAT], "tool_choice": "required"}),
        ({"functions": [TOOL["function"]]}, {"tools": [FLAT], "parallel_tool_calls": False}),
        ({"web_search_options": {}}, {"tools": [{"type": "web_search"}]}),
        ({"modalities": ["text"]}, {}),
        ({"temperature": None, "stop": None}, {}),
    ],
)
def test_what_both_can_say_is_said_in_the_other_language(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(ask(**given)) == {**sent(ask()), **expected}


def test_a_schema_is_flat_and_is_strict_only_where_it_was() -> None:
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "description": "X", "schema": schema}}
    flat = {"type": "json_schema", "name": "x", "description": "X", "schema": schema, "strict": False}
    assert sent(ask(response_format=wanted, verbosity="low"))["text"] == {"format": flat, "verbosity": "low"}
    wanted["json_schema"] = {"name": "x", "schema": schema, "strict": True}
    assert sent(ask(response_format=wanted))["text"]["format"]["strict"] is True


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    tool = {"type": "function", "function": {"name": "f", "strict": True}}
    (flat,) = sent(ask(tools=[tool]))["tools"]
    assert flat == {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": True}


def test_a_choice_of_tools() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert sent(ask(tools=[TOOL], tool_choice=named))["tool_choice"] == {"type": "function", "name": "f"}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    assert sent(ask(tools=[TOOL], tool_choice=allowed))["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "f"}],
    }


def test_a_search_says_where() -> None:
    place = {"type": "approximate", "approximate": {"city": "Dublin", "country": "IE"}}
    options = {"search_context_size": "low", "user_location": place}
    assert sent(ask(web_search_options=options))["tools"] == [
        {
            "type": "web_search",
            "search_context_size": "low",
            "user_location": {"type": "approximate", "city": "Dublin", "country": "IE"},
        }
    ]


def test_logprobs_are_included_where_they_are_asked_for() -> None:
    body = sent(ask(logprobs=True, top_logprobs=2))
    assert body["include"] == ["reasoning.encrypted_content", "message.output_text.logprobs"]
    assert body["top_logprobs"] == 2


def test_the_callers_own_words_of_that_api_stand_beside_ours() -> None:
    body = sent(
        ask(
            reasoning_effort="low",
            reasoning={"summary": "auto", "effort": "high"},
            text={"x": 1},
            include=["web_search_call.results", "reasoning.encrypted_content"],
            truncation="auto",
        )
    )
    assert body["reasoning"] == {"summary": "auto", "effort": "low"}
    assert (body["text"], body["truncation"]) == ({"x": 1}, "auto")
    assert body["include"] == ["web_search_call.results", "reasoning.encrypted_content"]


def test_what_names_stored_state_is_left_out_and_so_are_hints_and_both_are_named() -> None:
    one = ask(previous_response_id="resp_of_somebody", conversation="c", seed=7, presence_penalty=1, background=True)
    out = Responses().encode(one, TO)
    assert set(out.dropped) == {"previous_response_id", "conversation", "background", "seed", "presence_penalty"}
    assert not {*out.dropped} & sent(one).keys()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"stop": ["x"]}, "stop"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}, "audio"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
    ],
)
def test_what_would_change_the_meaning_is_refused_by_name(given: dict[str, Any], param: str) -> None:
    failure = refused(ask(**given))
    assert (failure.status, failure.param) == (400, param)


def test_it_can_not_go_on_with_an_answer() -> None:
    with pytest.raises(Failure) as caught:
        Responses().encode(Ask(ask().chat, "chatcmpl-1", 1, "me", prefill="Once"), TO)
    assert caught.value.cause is Cause.INTERNAL
