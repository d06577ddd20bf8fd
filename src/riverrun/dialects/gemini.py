"""The `gemini` dialect: Google's generateContent, with an API key or at Vertex, by their rows."""

from __future__ import annotations

from collections.abc import Mapping

from riverrun.dialects.contract import Framing, Outgoing, Reader
from riverrun.dialects.gemini_encode import encode
from riverrun.dialects.gemini_failure import http_failure
from riverrun.dialects.gemini_read import GeminiReader
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask


class Gemini:
    """The dialect, over a table of rows. Raises KeyError for a target whose row is not in it."""

    framing: Framing = "sse"

    def __init__(self, rows: Mapping[str, Row] = ROWS) -> None:
        self._rows = rows

    def encode(self, ask: Ask, target: Target) -> Outgoing:
        return encode(ask, target, self._rows[target.row])

    def reader(self, ask: Ask, target: Target) -> Reader:
        return GeminiReader(ask, target, self._rows[target.row])

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, ask: Ask, target: Target) -> Failure:
        return http_failure(status, headers, body, target)
