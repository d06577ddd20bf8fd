"""The `ollama` dialect: Ollama's own /api/chat, newline-delimited JSON. (Its /v1 is an imitator: dialect `openai`.)"""

from __future__ import annotations

from collections.abc import Mapping

from riverrun.dialects.contract import Framing, Outgoing, Reader
from riverrun.dialects.ollama_encode import encode
from riverrun.dialects.ollama_failure import http_failure
from riverrun.dialects.ollama_read import OllamaReader
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask


class Ollama:
    """The dialect, over a table of rows. Raises KeyError for a target whose row is not in it."""

    framing: Framing = "ndjson"

    def __init__(self, rows: Mapping[str, Row] = ROWS) -> None:
        self._rows = rows

    def encode(self, ask: Ask, target: Target) -> Outgoing:
        return encode(ask, target, self._rows[target.row])

    def reader(self, ask: Ask, target: Target) -> Reader:
        return OllamaReader(ask, target, self._rows[target.row])

    def failure(self, status: int, headers: Mapping[str, str], body: bytes, ask: Ask, target: Target) -> Failure:
        return http_failure(status, headers, body, target)
