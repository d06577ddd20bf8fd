from __future__ import annotations

from typing import Any

import pytest

from riverrun.failures import Failure
from riverrun.stream.legacy import is_legacy, modern
from tests.stream.requests import HELLO, chat

CALLED = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
ANSWERED = {"role": "function", "name": "f", "content": "42"}


def test_a_request_in_todays_words_is_itself() -> None:
    request = chat(tools=[{"type": "function", "function": {"name": "f"}}])
    assert modern(request) is request
    assert not is_legacy(request)


@pytest.mark.parametrize(
    ("old", "new"),
    [("none", "none"), ("auto", "auto"), ({"name": "f"}, {"type": "function", "function": {"name": "f"}})],
)
def test_functions_become_tools(old: object, new: object) -> None:
    functions = [{"name": "f", "parameters": {"type": "object"}, "vendor": 1}]
    out = modern(chat(functions=functions, function_call=old, temperature=0.5))
    assert out.body["tools"] == [{"type": "function", "function": functions[0]}]
    assert out.body["tool_choice"] == new
    assert not {"functions", "function_call"} & out.body.keys()
    assert out.request.tools is not None
    assert (out.request.tools[0].name, out.request.temperature) == ("f", 0.5)
    assert out.request.parallel_tool_calls is False


def test_calls_get_ids_and_answers_name_them() -> None:
    messages = [*HELLO, CALLED, ANSWERED, CALLED, ANSWERED, {"role": "user", "content": "So?"}]
    out = modern(chat(messages=messages))
    sent: Any = out.body["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool", "assistant", "tool", "user"]
    assert sent[1]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]
    assert sent[2] == {"role": "tool", "tool_call_id": "call_1", "content": "42"}
    assert sent[4]["tool_call_id"] == "call_3"
    assert not is_legacy(out)


def test_an_answer_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(Failure) as caught:
        modern(chat(messages=[*HELLO, ANSWERED]))
    assert (caught.value.status, caught.value.param) == (400, "messages.[1].role")
