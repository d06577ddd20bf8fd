from __future__ import annotations

from typing import Any

import pytest

from riverrun.dialects.offer import Offer, offer, unheld
from riverrun.dialects.structured import Wanted
from riverrun.failures import Failure
from tests.dialects.asks import ask

TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
ANSWER = Wanted("city", "d", {"type": "object"}, guaranteed=True)


def offered(answer: Wanted | None = None, **body: Any) -> tuple[list[str], str, str | None, bool] | None:
    made: Offer | None = offer(ask(**body).chat, answer)
    return None if made is None else ([tool.name for tool in made.tools], made.mode, made.name, made.single)


def test_nothing_is_offered_where_there_is_nothing() -> None:
    assert offered() is None


def test_the_choices() -> None:
    named = {"type": "function", "function": {"name": "g"}}
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
    assert offered(tools=TOOLS) == (["f", "g"], "auto", None, False)
    assert offered(tools=TOOLS, tool_choice="none") == (["f", "g"], "none", None, False)
    assert offered(tools=TOOLS, tool_choice="required") == (["f", "g"], "required", None, False)
    assert offered(tools=TOOLS, tool_choice=named) == (["f", "g"], "required", "g", False)
    assert offered(tools=TOOLS, tool_choice=allowed) == (["g"], "auto", None, False)
    assert offered(tools=TOOLS, parallel_tool_calls=False) == (["f", "g"], "auto", None, True)


def test_a_tool_that_stands_for_the_answer() -> None:
    assert offered(ANSWER) == (["city"], "required", "city", True)
    assert offered(ANSWER, tools=TOOLS) == (["f", "g", "city"], "required", None, False)
    assert offered(ANSWER, tools=TOOLS, tool_choice="none") == (["f", "g", "city"], "required", "city", True)


def test_parameters_are_always_an_objects_schema() -> None:
    functions = [
        {"name": "f"},
        {"name": "g", "parameters": {"properties": {}}},
        {"name": "h", "parameters": {"$ref": "#"}},
    ]
    made = offer(ask(tools=[{"type": "function", "function": function} for function in functions]).chat)
    assert made is not None
    assert [tool.parameters for tool in made.tools] == [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}},
        {"$ref": "#"},
    ]


def test_custom_tools_are_refused() -> None:
    with pytest.raises(Failure):
        offered(tools=[{"type": "custom", "custom": {"name": "c"}}])


def test_guarantees_that_can_not_be_given_are_named() -> None:
    tools = [*TOOLS, {"type": "function", "function": {"name": "h", "strict": True}}]
    form = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": {"type": "object"}}}
    for body, names in (
        ({"tools": tools}, ["tools[2].function.strict"]),
        ({"tools": TOOLS, "response_format": form}, ["response_format.json_schema.strict"]),
        ({"tools": TOOLS}, []),
    ):
        chat = ask(**body).chat
        made = offer(chat)
        assert made is not None
        assert unheld(made, chat) == names
