from __future__ import annotations

from typing import Any

import msgspec
import pytest

from riverrun.dialects.openai import OpenAI
from tests.dialects.asks import HELLO, ask, engine, refused, sent, target

TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("f", "g")
]
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


def test_every_upstream_is_asked_to_stream_with_usage_and_without_padding() -> None:
    for to in (target(), target("openai"), engine()):
        body = sent(ask(stream=False), to)
        assert body["stream"] is True
        assert body["stream_options"] == {"include_usage": True}
        assert body["model"] == "theirs"
    padded = ask(stream=True, stream_options={"include_obfuscation": True})
    assert sent(padded, target("openai"))["stream_options"] == {"include_usage": True}


def test_what_we_do_not_know_is_carried_on_by_a_lenient_row() -> None:
    body = sent(ask(vendor={"deep": [1, {"x": None}]}, temperature=0.5, seed=7), target())
    assert body["vendor"] == {"deep": [1, {"x": None}]}
    assert (body["temperature"], body["seed"]) == (0.5, 7)


def test_null_is_the_default_and_is_left_out() -> None:
    assert "temperature" not in sent(ask(temperature=None, moderation=None), engine())


def test_n_is_the_number_of_choices_of_the_branch() -> None:
    assert "n" not in sent(ask(n=3), engine())
    assert sent(ask(n=3, choices=(0, 1, 2)), target())["n"] == 3


def test_the_engine_takes_extras_of_a_closed_list_and_hints_are_named() -> None:
    out = OpenAI().encode(ask(top_k=5, grammar="root ::= x", chat_template="x", user="u", store=True), engine())
    assert b'"top_k":5' in out.body
    assert b"grammar" not in out.body
    assert b"chat_template" not in out.body
    assert set(out.dropped) == {"grammar", "chat_template", "user", "store"}
    assert out.path == "/chat/completions"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"moderation": {"model": "x"}}, "moderation"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}, "audio"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0].type"),
        ({"logit_bias": {"100": 5}}, "logit_bias"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, PIXEL]}]}, "messages[0].content[1]"),
        ({"messages": [*HELLO, {"role": "user", "content": [SOUND]}]}, "messages[1].content[0]"),
        ({"messages": [*HELLO, {"role": "assistant", "audio": {"id": "a"}}]}, "messages[1].audio"),
    ],
)
def test_the_engine_refuses_what_would_change_the_meaning(body: dict[str, Any], param: str) -> None:
    failure = refused(ask(**body), engine(vocabulary=100))
    assert (failure.status, failure.param) == (400, param)
    assert failure.code in ("unsupported_parameter", "unsupported_value", "invalid_value")


def test_a_model_that_sees_takes_data_and_never_an_address() -> None:
    seeing = engine(modalities=("text", "image"))
    body = sent(ask(messages=[{"role": "user", "content": [PIXEL]}]), seeing)
    assert body["messages"][0]["content"] == [PIXEL]
    for url in ("http://169.254.169.254/", "https://x.test/a.png", "file:///etc/passwd", "//x"):
        part = {"type": "image_url", "image_url": {"url": url}}
        failure = refused(ask(messages=[{"role": "user", "content": [part]}]), seeing)
        assert failure.param == "messages[0].content[0]"


def test_roles_and_refusals_become_what_a_chat_template_knows() -> None:
    messages = [
        {"role": "developer", "content": "Be brief"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
        {"role": "assistant", "content": None, "refusal": "Never"},
        {"role": "user", "content": "Why?"},
    ]
    out = sent(ask(messages=messages), engine())["messages"]
    assert [each["role"] for each in out] == ["system", "assistant", "assistant", "user"]
    assert out[1]["content"] == [{"type": "text", "text": "No"}]
    assert out[2] == {"role": "assistant", "content": "Never"}
    assert sent(ask(messages=messages), target("openai"))["messages"] == messages


@pytest.mark.parametrize(("seed", "expected"), [(0, 0), (7, 7), (2**32 - 1, 0), (2**40 + 3, 259), (-5, 2**32 - 6)])
def test_a_seed_fits_the_engine_and_is_never_the_random_one(seed: int, expected: int) -> None:
    assert sent(ask(seed=seed), engine())["seed"] == expected
    assert expected < 2**32 - 1
    assert sent(ask(seed=seed), target())["seed"] == seed


def test_both_limits_become_the_one_that_the_engine_knows() -> None:
    assert sent(ask(max_tokens=5), engine())["max_tokens"] == 5
    body = sent(ask(max_completion_tokens=6), engine())
    assert (body["max_tokens"], "max_completion_tokens" in body) == (6, False)
    assert sent(ask(max_completion_tokens=6), target("openai"))["max_completion_tokens"] == 6


def test_logprobs_without_alternatives_still_ask_for_one() -> None:
    assert sent(ask(logprobs=True), engine())["top_logprobs"] == 1
    assert sent(ask(logprobs=True, top_logprobs=3), engine())["top_logprobs"] == 3
    assert "top_logprobs" not in sent(ask(logprobs=True), target())


def test_effort_none_turns_thinking_off_and_the_rest_are_hints() -> None:
    body = sent(ask(reasoning_effort="none"), engine())
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "reasoning_effort" not in body
    assert OpenAI().encode(ask(reasoning_effort="high"), engine()).dropped == ("reasoning_effort",)
    assert sent(ask(reasoning_effort="high"), target())["reasoning_effort"] == "high"


def test_the_models_own_sampling_stands_where_the_caller_gave_none() -> None:
    to = engine(sampling=(("temperature", 0.2), ("top_k", 20)))
    body = sent(ask(temperature=1.5), to)
    assert (body["temperature"], body["top_k"]) == (1.5, 20)
    assert body["cache_prompt"] is True


def test_a_choice_of_tools_is_said_in_words() -> None:
    named = sent(ask(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "g"}}), engine())
    assert named["tools"] == TOOLS[1:]
    assert (named["tool_choice"], named["parallel_tool_calls"]) == ("required", False)
    some = [{"type": "function", "function": {"name": "f"}}]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": some}}
    body = sent(ask(tools=TOOLS, tool_choice=allowed), engine())
    assert (body["tools"], body["tool_choice"]) == (TOOLS[:1], "auto")
    assert sent(ask(tools=TOOLS, tool_choice=allowed), target())["tool_choice"] == allowed


def test_old_functions_become_tools_only_where_they_are_unknown() -> None:
    old = ask(functions=[{"name": "f"}], function_call="auto")
    assert sent(old, target("openai"))["functions"] == [{"name": "f"}]
    body = sent(old, engine())
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert "functions" not in body


def test_a_response_schema_is_checked_for_the_engine_only() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {"a": {"type": "foo"}}}}}
    assert refused(ask(response_format=wanted), engine()).param == "response_format"
    assert sent(ask(response_format=wanted), target())["response_format"] == wanted
    good = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {"a": True}}}}
    assert sent(ask(response_format=good), engine())["response_format"]["json_schema"]["schema"] == {
        "properties": {"a": {}}
    }


def test_schema_tools_leave_no_tools_in_the_request() -> None:
    body = sent(ask(tools=TOOLS, tool_choice="required", parallel_tool_calls=True), engine(tools="schema"))
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()
    assert body["response_format"]["type"] == "json_schema"
    assert body["messages"][0]["role"] == "system"
    none = sent(ask(tools=TOOLS, tool_choice="none"), engine(tools="schema"))
    assert "response_format" not in none
    assert none["messages"] == HELLO
    failure = refused(ask(tools=TOOLS, logprobs=True), engine(tools="schema"))
    assert failure.param == "logprobs"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_the_engine_would_misread_is_the_context(name: str) -> None:
    for value in (2**31, 2**32 + 5, 2**63):
        body: dict[str, Any] = {name: value}
        assert sent(ask(**body), engine(context=4096))["max_tokens"] == 4096
        assert sent(ask(**body), engine())["max_tokens"] == 2**31 - 1
    assert sent(ask(max_tokens=2**32 + 5), target())["max_tokens"] == 2**32 + 5


def test_a_seed_that_the_caller_gave_keeps_the_cache_out_of_the_answer() -> None:
    one = ask(seed=3)
    assert sent(one, engine())["cache_prompt"] is True
    repeatable = msgspec.structs.replace(one, repeatable=True)
    assert sent(repeatable, engine())["cache_prompt"] is False
    assert "cache_prompt" not in sent(repeatable, target())


@pytest.mark.parametrize(
    ("stop", "expected"), [([""], None), ("", None), (["", "a"], ["a"]), ("a", "a"), (["a"], ["a"])]
)
def test_an_empty_stop_text_stops_nothing(stop: object, expected: object) -> None:
    for to in (engine(), target()):
        assert sent(ask(stop=stop), to).get("stop") == expected
