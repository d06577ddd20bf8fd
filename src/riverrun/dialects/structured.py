"""Structured output where an API has none: a tool that must be called, whose arguments are the answer. Both ways."""

from __future__ import annotations

import msgspec

from riverrun.dialects.contract import Reader
from riverrun.dialects.families import family
from riverrun.routing.target import Target
from riverrun.stream.deltas import Delta, Finish, Text, ToolArgs, ToolOpen
from riverrun.wire.jsonvalue import JsonObject, JsonValue
from riverrun.wire.options import JsonObjectResponse, JsonSchemaResponse
from riverrun.wire.request import Chat
from riverrun.wire.sse import Event

MAPS = frozenset({"properties", "$defs", "definitions"})
SCHEMAS = frozenset({"items", "anyOf", "allOf", "oneOf", "not"})


class Wanted(msgspec.Struct, frozen=True):
    """The JSON that the caller wants. `guaranteed`: after a schema, and not merely any object."""

    name: str
    description: str | None
    schema: JsonObject
    guaranteed: bool


def wanted(chat: Chat) -> Wanted | None:
    """What `response_format` asks for; None where it is text."""
    form = chat.request.response_format
    if isinstance(form, JsonSchemaResponse):
        asked = form.json_schema
        return Wanted(
            _free(asked.name, chat), asked.description, asked.schema or {"type": "object"}, bool(asked.schema)
        )
    if isinstance(form, JsonObjectResponse):
        return Wanted(_free("json_answer", chat), "Gives the answer, as a JSON object.", {"type": "object"}, False)
    return None


def answer_tool(chat: Chat, target: Target) -> Wanted | None:
    """The tool whose arguments are the answer; None where text is wanted, or the model itself holds to the schema."""
    answer = wanted(chat)
    native = answer is not None and answer.guaranteed and family(target.model).schemas == "native"
    return None if native else answer


def answering(reader: Reader, answer: Wanted | None) -> Reader:
    """The reader of a request that was written with this answer tool."""
    return reader if answer is None else AnswerToolReader(reader, answer.name)


def closed(schema: JsonObject) -> JsonObject:
    """The schema with every object closed to properties that it does not name, which these upstreams insist on.

    What fits it fits the caller's own schema too. An object that says itself what else it takes is left alone.
    """
    out: JsonObject = {}
    for name, value in schema.items():
        if name in MAPS and isinstance(value, dict):
            out[name] = {key: _closed(each) for key, each in value.items()}
        else:
            out[name] = _closed(value) if name in SCHEMAS else value
    if "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def _closed(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_closed(each) for each in value]
    return closed(value) if isinstance(value, dict) else value


def _free(name: str, chat: Chat) -> str:
    """The name, made longer while a tool of the caller has it."""
    taken = {tool.name for tool in chat.request.tools or ()}
    while name in taken:
        name = f"{name[:56]}_answer"
    return name


class AnswerToolReader:
    """A reader of an answer that comes as a call of the tool `name`."""

    def __init__(self, reader: Reader, name: str) -> None:
        self.done = False
        self._reader = reader
        self._name = name
        self._answers: dict[int, int] = {}  # the handle of the call that is the answer, by choice
        self._said: set[int] = set()  # choices whose answer has words
        self._calls: set[int] = set()  # choices that call a tool of the caller

    def read(self, event: Event) -> list[Delta]:
        return self._translated(self._reader.read(event))

    def whole(self, body: bytes) -> list[Delta]:
        return self._translated(self._reader.whole(body))

    def finish(self) -> list[Delta]:
        return self._translated(self._reader.finish())

    def _translated(self, deltas: list[Delta]) -> list[Delta]:
        self.done = self._reader.done
        out: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, ToolOpen):
                self._open(delta, out)
            elif isinstance(delta, ToolArgs) and self._answers.get(delta.choice) == delta.call:
                self._said.add(delta.choice)
                out.append(Text(delta.choice, delta.literal))
            elif isinstance(delta, Finish):
                self._finish(delta, out)
            else:
                out.append(delta)
        return out

    def _open(self, delta: ToolOpen, out: list[Delta]) -> None:
        if delta.name == self._name and delta.choice not in self._answers:
            self._answers[delta.choice] = delta.call
        else:
            self._calls.add(delta.choice)
            out.append(delta)

    def _finish(self, delta: Finish, out: list[Delta]) -> None:
        choice = delta.choice
        if delta.reason == "tool_calls" and choice in self._answers and choice not in self._said:
            out.append(Text(choice, b'"{}"'))
        ended = delta.reason == "tool_calls" and choice not in self._calls
        out.append(Finish(choice, "stop") if ended else delta)
