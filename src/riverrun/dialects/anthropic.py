"""The `anthropic` dialect: the Messages API (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from collections.abc import Mapping

from riverrun.dialects.anthropic_encode import encode
from riverrun.dialects.anthropic_failure import http_failure
from riverrun.dialects.anthropic_read import AnthropicReader
from riverrun.dialects.contract import Framing, Outgoing, Reader
from riverrun.dialects.goes_on import going_on
from riverrun.dialects.rows import ROWS, Row
from riverrun.dialects.structured import answer_tool, answering
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask


class Anthropic:
    """The dialect, over a table of rows. Raises KeyError for a target whose row is not in it."""

    framing: Framing = "sse"

    def __init__(self, rows: Mapping[str, Row] = ROWS) -> None:
        self._rows = rows

    def encode(self, ask: Ask, target: Target) -> Outgoing:
        return encode(ask, target, self._rows[target.row])

    def reader(self, ask: Ask, target: Target) -> Reader:
        reader = going_on(AnthropicReader(ask, target, self._rows[target.row]), ask.prefill)
        return answering(reader, answer_tool(ask.chat, target))

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, ask: Ask, target: Target) -> Failure:
        return http_failure(status, headers, body, target)
