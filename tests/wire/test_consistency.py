"""Parameters that contradict each other, and histories in which calls and answers do not match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.request import parse_chat
from tests.wire.valid import CUSTOM, FULL, TOOL, with_

FUNCTIONS: JsonValue = [{"name": "look"}]
TOOLS: JsonValue = [TOOL, CUSTOM]
AUDIO: JsonValue = {"voice": "alloy", "format": "wav"}

UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)
UNASKED = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."


def refused(**changes: JsonValue) -> Failure:
    with pytest.raises(Failure) as caught:
        parse_chat(with_(**changes))
    assert caught.value.status == 400
    return caught.value


def choose(kind: str, name: str) -> JsonValue:
    return {"type": kind, kind: {"name": name}}


def allow(*tools: JsonValue) -> JsonValue:
    return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": list(tools)}}


@pytest.mark.parametrize(
    ("changes", "param", "message"),
    [
        (
            {"stream_options": {}},
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ),
        ({"stream_options": {"include_usage": True}, "stream": False}, "stream_options", "The 'stream_options'"),
        (
            {"top_logprobs": 2},
            "top_logprobs",
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        ),
        ({"top_logprobs": 0, "logprobs": False}, "top_logprobs", "The 'top_logprobs'"),
        (
            {"functions": FUNCTIONS, "tools": TOOLS},
            "functions",
            "Invalid parameter: 'functions' can't be sent together",
        ),
        (
            {"tool_choice": "required"},
            "tool_choice",
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        ),
        ({"tool_choice": "auto"}, "tool_choice", "Invalid value for 'tool_choice'"),
        ({"tool_choice": choose("function", "look")}, "tool_choice", "Invalid value for 'tool_choice'"),
        (
            {"tool_choice": choose("function", "listen"), "tools": TOOLS},
            "tool_choice",
            "Invalid value for 'tool_choice': no function named 'listen' was specified in the 'tools' parameter.",
        ),
        ({"tool_choice": choose("function", "write"), "tools": TOOLS}, "tool_choice", "Invalid value"),
        (
            {"tool_choice": choose("custom", "look"), "tools": TOOLS},
            "tool_choice",
            "Invalid value for 'tool_choice': no custom tool named 'look' was specified",
        ),
        (
            {"tool_choice": allow(choose("custom", "write"), choose("function", "x")), "tools": TOOLS},
            "tool_choice",
            "Invalid value for 'tool_choice': no function named 'x' was specified",
        ),
        (
            {"function_call": "auto"},
            "function_call",
            "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.",
        ),
        (
            {"function_call": {"name": "x"}, "functions": FUNCTIONS},
            "function_call",
            "Invalid value for 'function_call': no function named 'x' was specified in the 'functions' parameter.",
        ),
        (
            {"logit_bias": {"hello": 1}},
            "logit_bias",
            "Invalid key in 'logit_bias': hello. You should only be submitting",
        ),
        ({"logit_bias": {"-1": 1}}, "logit_bias", "Invalid key in 'logit_bias': -1."),
        ({"logit_bias": {"²": 1}}, "logit_bias", "Invalid key in 'logit_bias': ²."),
        ({"logit_bias": {"": 1}}, "logit_bias", "Invalid key in 'logit_bias': ."),
        (
            {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": None}]},
            "messages.[1].content",
            "Invalid value for 'content': expected a string, got null.",
        ),
    ],
)
def test_contradictions(changes: dict[str, JsonValue], param: str, message: str) -> None:
    failure = refused(**changes)
    assert failure.message.startswith(message)
    assert (failure.param, failure.code) == (param, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"stream_options": None},
        {"stream_options": {}, "stream": True},
        {"top_logprobs": 0, "logprobs": True},
        {"tool_choice": "none"},
        {"tool_choice": "auto", "tools": TOOLS},
        {"tool_choice": choose("function", "look"), "tools": TOOLS},
        {"tool_choice": choose("custom", "write"), "tools": TOOLS},
        {"tool_choice": allow(choose("custom", "write")), "tools": TOOLS},
        {"function_call": "none"},
        {"function_call": {"name": "look"}, "functions": FUNCTIONS},
        {"modalities": ["text"]},
        {"modalities": ["text", "audio"], "audio": AUDIO},
        {"audio": AUDIO},
        {"logit_bias": {"0": -100, "50256": 100}},
    ],
)
def test_what_goes_together(changes: dict[str, JsonValue]) -> None:
    assert parse_chat(with_(**changes)).extra == ()


def test_a_spoken_answer_needs_a_voice() -> None:
    failure = refused(modalities=["text", "audio"])
    assert (failure.param, failure.code) == ("audio", "missing_required_parameter")


def test_tools_have_names_of_their_own() -> None:
    twin: JsonValue = {"type": "custom", "custom": {"name": "look"}}
    failure = refused(tools=[TOOL, CUSTOM, twin])
    assert (failure.param, failure.code) == ("tools[2].custom.name", "invalid_value")
    assert "duplicate tool name 'look'" in failure.message


USER: JsonValue = {"role": "user", "content": "Hi"}


def calls(*ids: str) -> JsonValue:
    return {
        "role": "assistant",
        "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ids],
    }


def answer(id: str) -> JsonValue:
    return {"role": "tool", "tool_call_id": id, "content": "x"}


@pytest.mark.parametrize(
    ("messages", "param", "message"),
    [
        ([answer("a")], "messages.[0].role", UNASKED),
        ([USER, {"role": "assistant", "content": "Hi"}, answer("a")], "messages.[2].role", UNASKED),
        ([USER, calls("a"), answer("a"), USER, answer("a")], "messages.[4].role", UNASKED),
        (
            [USER, calls("a"), answer("b")],
            "messages.[2].tool_call_id",
            "Invalid parameter: 'tool_call_id' of 'b' not found in 'tool_calls' of previous message.",
        ),
        ([USER, calls("a"), answer("a"), calls("b"), answer("a")], "messages.[4].tool_call_id", "Invalid parameter"),
        ([USER, calls("a"), USER], "messages.[2].role", UNANSWERED + "a"),
        ([USER, calls("b", "a", "c"), answer("a"), USER], "messages.[3].role", UNANSWERED + "b, c"),
        ([USER, calls("a")], "messages.[1].role", UNANSWERED + "a"),
        ([USER, calls("a", "b"), answer("a")], "messages.[2].role", UNANSWERED + "b"),
        ([USER, calls("a"), calls("b"), answer("b")], "messages.[2].role", UNANSWERED + "a"),
    ],
)
def test_calls_and_answers(messages: list[JsonValue], param: str, message: str) -> None:
    failure = refused(messages=messages)
    assert failure.message.startswith(message)
    assert (failure.param, failure.code) == (param, None)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), max_size=3))
def test_answered_calls_are_accepted_in_any_order(turns: list[list[str]]) -> None:
    messages = [USER]
    for ids in turns:
        messages += [calls(*ids), *(answer(id) for id in sorted(set(ids), reverse=len(ids) % 2 == 0)), USER]
    assert len(parse_chat(with_(messages=messages)).request.messages) == len(messages)


def test_history_is_checked_in_one_pass() -> None:
    """9,000 calls and their answers, in a time that grows with their number and not its square."""
    ids = [str(index) for index in range(9_000)]
    messages = [USER, calls(*ids), *map(answer, ids)]
    assert len(parse_chat(with_(messages=messages)).request.messages) == 9_002


def test_the_fullest_request_contradicts_nothing() -> None:
    assert parse_chat(with_(**FULL)).n == 8
