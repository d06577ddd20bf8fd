"""Tools and the choice among them."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.wire.tools import PATTERN, AllowedChoice, CustomChoice, FunctionChoice, Tool, ToolChoice


def test_both_kinds_have_a_name() -> None:
    tools = msgspec.convert(
        [{"type": "function", "function": {"name": "look"}}, {"type": "custom", "custom": {"name": "write"}}],
        list[Tool],
    )
    assert [tool.name for tool in tools] == ["look", "write"]


@given(st.text(st.sampled_from("aZ09_- .\né"), max_size=6))
def test_the_pattern_is_the_whole_name(name: str) -> None:
    assert bool(re.search(PATTERN, name)) == bool(re.fullmatch("[a-zA-Z0-9_-]+", name))


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ("none", str),
        ("auto", str),
        ("required", str),
        ({"type": "function", "function": {"name": "f"}}, FunctionChoice),
        ({"type": "custom", "custom": {"name": "f"}}, CustomChoice),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}, AllowedChoice),
    ],
)
def test_choices(choice: object, kind: type) -> None:
    assert isinstance(msgspec.convert(choice, ToolChoice), kind)


@pytest.mark.parametrize("choice", ["any", {"type": "function"}, {"type": "tool", "name": "f"}, {}, True])
def test_what_is_no_choice(choice: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(choice, ToolChoice)


def test_schemas_are_carried_as_they_are() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1, None, 2.5, "x", [], {}]}}}
    tool = msgspec.convert({"type": "function", "function": {"name": "f", "parameters": schema}}, Tool)
    assert msgspec.to_builtins(tool)["function"]["parameters"] == schema
