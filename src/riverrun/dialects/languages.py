"""Every language that riverrun speaks, by the name that a row's `dialect` has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from riverrun.dialects.anthropic import Anthropic
from riverrun.dialects.bedrock import Bedrock
from riverrun.dialects.cohere import Cohere
from riverrun.dialects.contract import Dialect
from riverrun.dialects.gemini import Gemini
from riverrun.dialects.ollama import Ollama
from riverrun.dialects.openai import OpenAI
from riverrun.dialects.responses import Responses
from riverrun.dialects.rows import ROWS, Row

LANGUAGES: Mapping[str, Callable[[Mapping[str, Row]], Dialect]] = {
    "openai": OpenAI,
    "responses": Responses,
    "anthropic": Anthropic,
    "bedrock": Bedrock,
    "gemini": Gemini,
    "cohere": Cohere,
    "ollama": Ollama,
}


def languages(rows: Mapping[str, Row] = ROWS) -> dict[str, Dialect]:
    """One dialect of each, over one table of rows."""
    return {name: language(rows) for name, language in LANGUAGES.items()}
