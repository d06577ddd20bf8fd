"""Who may say what: the parts that each role takes, and when an assistant's content may be missing."""

from __future__ import annotations

import msgspec
import pytest

from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import AssistantMessage, Message

PARTS: dict[str, JsonValue] = {
    "text": {"type": "text", "text": "x"},
    "refusal": {"type": "refusal", "refusal": "x"},
    "image_url": {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    "input_audio": {"type": "input_audio", "input_audio": {"data": "", "format": "mp3"}},
    "file": {"type": "file", "file": {"file_id": "f"}},
}
TAKES = {
    "developer": {"text"},
    "system": {"text"},
    "user": {"text", "image_url", "input_audio", "file"},
    "assistant": {"text", "refusal"},
    "tool": {"text"},
    "function": set[str](),
}


def read(message: JsonValue) -> Message:
    converted: Message = msgspec.convert(message, Message)
    return converted


@pytest.mark.parametrize("role", TAKES)
@pytest.mark.parametrize("part", PARTS)
def test_each_role_takes_its_parts(role: str, part: str) -> None:
    message: JsonValue = {"role": role, "content": [PARTS[part]], "tool_call_id": "c", "name": "n"}
    if part in TAKES[role]:
        assert msgspec.to_builtins(read(message).content[0])["type"] == part  # type: ignore[index]
    else:
        with pytest.raises(msgspec.ValidationError):
            read(message)


@pytest.mark.parametrize("role", TAKES)
def test_every_role_takes_a_string(role: str) -> None:
    assert read({"role": role, "content": "", "tool_call_id": "c", "name": "n"}).content == ""


def test_a_part_without_a_type_is_refused_everywhere() -> None:
    for role in ("system", "user", "assistant"):
        with pytest.raises(msgspec.ValidationError):
            read({"role": role, "content": [{"text": "x"}]})


@pytest.mark.parametrize(
    "instead",
    [
        {"content": ""},
        {"refusal": ""},
        {"audio": {"id": "a"}},
        {"function_call": {"name": "f", "arguments": "not json"}},
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": ""}}]},
    ],
)
def test_something_may_stand_for_the_content(instead: dict[str, JsonValue]) -> None:
    message = read({"role": "assistant", **instead})
    assert isinstance(message, AssistantMessage)
    assert message.says_something


def test_nothing_is_not_something() -> None:
    message = read({"role": "assistant", "content": None, "name": "n", "tool_calls": None})
    assert isinstance(message, AssistantMessage)
    assert not message.says_something
