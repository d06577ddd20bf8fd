"""The `openai` dialect: the Chat Completions API itself, and everybody who imitates it, by their rows."""

from __future__ import annotations

from collections.abc import Mapping

from riverrun.dialects.contract import Framing, Outgoing, Reader
from riverrun.dialects.openai_encode import encode
from riverrun.dialects.openai_failure import http_failure
from riverrun.dialects.openai_read import OpenAIReader
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.stream.legacy import modern
from riverrun.stream.tool_answer import ToolAnswer
from riverrun.stream.tools import menu, wants_json
from riverrun.wire.sse import Event


class OpenAI:
    """The dialect, over a table of rows. Raises KeyError for a target whose row is not in it."""

    framing: Framing = "sse"

    def __init__(self, rows: Mapping[str, Row] = ROWS) -> None:
        self._rows = rows

    def encode(self, ask: Ask, target: Target) -> Outgoing:
        return encode(ask, target, self._rows[target.row])

    def reader(self, ask: Ask, target: Target) -> Reader:
        reader = OpenAIReader(ask, target, self._rows[target.row])
        if target.tools == "schema" and menu(chat := modern(ask.chat)) is not None:
            return SchemaToolsReader(reader, ToolAnswer(ask.id, structured=wants_json(chat)))
        return reader

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, ask: Ask, target: Target) -> Failure:
        return http_failure(status, headers, body, modern(ask.chat), target, self._rows[target.row])


class SchemaToolsReader:
    """A reader whose text is the document that schema tools asked for."""

    def __init__(self, reader: Reader, answer: ToolAnswer) -> None:
        self.done = False
        self._reader = reader
        self._answer = answer

    def read(self, event: Event) -> list[Delta]:
        return self._translated(self._reader.read(event))

    def whole(self, body: bytes) -> list[Delta]:
        return self._translated(self._reader.whole(body))

    def finish(self) -> list[Delta]:
        return self._translated(self._reader.finish())

    def _translated(self, deltas: list[Delta]) -> list[Delta]:
        self.done = self._reader.done
        return self._answer.translate(deltas)
