from __future__ import annotations

from typing import Any

from riverrun.dialects.structured import AnswerToolReader, answer_tool, answering, closed, wanted
from riverrun.stream.deltas import Delta, Finish, Open, Text, ToolArgs, ToolOpen
from riverrun.wire.sse import Event
from tests.dialects.anthropic_says import NEW, OLD, claude
from tests.dialects.asks import ask

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {}}}


class Scripted:
    """A reader that says what it was given."""

    def __init__(self, deltas: list[Delta]) -> None:
        self.done = False
        self.deltas = deltas

    def read(self, event: Event) -> list[Delta]:
        self.done = True
        return self.deltas

    def whole(self, body: bytes) -> list[Delta]:
        return self.read(Event(body))

    def finish(self) -> list[Delta]:
        return []


def translated(*deltas: Delta) -> list[Delta]:
    reads = AnswerToolReader(Scripted(list(deltas)), "city")
    out = reads.read(Event(b""))
    assert reads.done
    assert reads.finish() == []
    assert AnswerToolReader(Scripted(list(deltas)), "city").whole(b"") == out
    return out


def test_the_answers_arguments_are_its_content() -> None:
    deltas: list[Delta] = [Open(0), ToolOpen(0, 3, "x", "city"), ToolArgs(0, 3, b'"{"'), ToolArgs(0, 3, b'"}"')]
    assert translated(*deltas, Finish(0, "tool_calls")) == [
        Open(0),
        Text(0, b'"{"'),
        Text(0, b'"}"'),
        Finish(0, "stop"),
    ]
    assert translated(*deltas, Finish(0, "length"))[-1] == Finish(0, "length")


def test_an_answer_without_arguments_is_an_empty_object() -> None:
    assert translated(ToolOpen(0, 0, "x", "city"), Finish(0, "tool_calls")) == [Text(0, b'"{}"'), Finish(0, "stop")]
    assert translated(ToolOpen(0, 0, "x", "city"), Finish(0, "length")) == [Finish(0, "length")]


def test_the_callers_own_calls_stay_calls() -> None:
    deltas: list[Delta] = [ToolOpen(0, 0, "x", "f"), ToolArgs(0, 0, b'"{}"'), Finish(0, "tool_calls")]
    assert translated(*deltas) == deltas


def test_a_name_that_no_tool_of_the_caller_has() -> None:
    tools = [{"type": "function", "function": {"name": "city"}}]
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
    answer = wanted(ask(tools=tools, response_format=form).chat)
    assert answer is not None
    assert answer.name == "city_answer"
    assert wanted(ask(response_format={"type": "text"}).chat) is None


def test_who_needs_a_tool_for_it() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
    assert answer_tool(ask(response_format=form).chat, claude(NEW)) is None
    assert answer_tool(ask(response_format=form).chat, claude(OLD)) is not None
    assert answer_tool(ask(response_format={"type": "json_object"}).chat, claude(NEW)) is not None
    reader = Scripted([])
    assert answering(reader, None) is reader


def test_closed_objects_at_every_depth() -> None:
    deep = {"type": "array", "items": {"anyOf": [SCHEMA, {"type": "object"}]}}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"properties": deep, "open": {**SCHEMA, "additionalProperties": True}},
        "$defs": {"x": SCHEMA},
        "enum": [{"properties": 1}],
    }
    shut = {**SCHEMA, "additionalProperties": False}
    assert closed(schema) == {
        "type": "object",
        "properties": {
            "properties": {"type": "array", "items": {"anyOf": [shut, {"type": "object"}]}},
            "open": {**SCHEMA, "additionalProperties": True},
        },
        "$defs": {"x": shut},
        "enum": [{"properties": 1}],
        "additionalProperties": False,
    }
