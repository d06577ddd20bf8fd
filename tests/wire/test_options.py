"""The parameters that are objects, each with a value that fits and several that do not."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.wire.parameters import ChatRequest
from tests.wire.valid import FULL, with_

WRONG: dict[str, list[object]] = {
    "response_format": ["json", {}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": {"name": "a b"}}],
    "stream_options": [True, {"include_usage": 1}, {"include_obfuscation": "no"}],
    "audio": [{"voice": "alloy"}, {"voice": "alloy", "format": "m4a"}, {"voice": {}, "format": "wav"}],
    "prediction": [{"type": "text", "content": "x"}, {"type": "content"}, {"type": "content", "content": []}],
    "prompt_cache_options": [{"mode": "off"}, {"ttl": "12h"}],
    "moderation": [{}, {"model": "m", "policy": {"input": {"mode": "warn"}}}, {"model": "m", "policy": {"output": {}}}],
    "web_search_options": [{"search_context_size": "huge"}, {"user_location": {"type": "exact", "approximate": {}}}],
    "metadata": [{"a": None}, {"k" * 65: ""}, {"a": "v" * 513}, {str(index): "" for index in range(17)}],
}


def read(name: str, value: object) -> object:
    return getattr(msgspec.json.decode(with_(**{name: value}), type=ChatRequest), name)


@pytest.mark.parametrize("name", WRONG)
def test_what_fits_and_what_does_not(name: str) -> None:
    assert read(name, FULL[name]) is not None
    for wrong in WRONG[name]:
        with pytest.raises(msgspec.ValidationError):
            read(name, wrong)


@pytest.mark.parametrize("name", ["stream_options", "prompt_cache_options", "web_search_options", "metadata"])
def test_an_empty_object_is_all_defaults(name: str) -> None:
    assert read(name, {}) is not None


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_plain_formats(kind: str) -> None:
    assert msgspec.to_builtins(read("response_format", {"type": kind})) == {"type": kind}
