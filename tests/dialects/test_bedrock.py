"""The dialect on answers as they were recorded, read a second time by the standard library."""

from __future__ import annotations

import json
from typing import Any

import pytest

from riverrun.dialects.bedrock import Bedrock
from riverrun.stream.deltas import Delta, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.wire.aws_events import Decoder
from tests.dialects.asks import ask
from tests.dialects.bedrock_says import hosted
from tests.dialects.languages import STREAMS, WHOLE, Stream

RECORDED = {name: each for name, each in STREAMS.items() if name.startswith("bedrock") and each.path is not None}
ANSWERS = [path for language, path in WHOLE if language.folder == "bedrock"]


def joined(deltas: list[Delta], kind: type[Text] | type[Reasoning] | type[ToolArgs]) -> str:
    return "".join(json.loads(each.literal) for each in deltas if isinstance(each, kind))


@pytest.mark.parametrize("stream", RECORDED.values(), ids=RECORDED)
def test_a_recorded_stream_says_what_it_says(stream: Stream) -> None:
    events: list[dict[str, Any]] = [json.loads(event.data) for event in Decoder().feed(stream.body)]
    pieces = [event["delta"] for event in events if "delta" in event]
    deltas = stream.read([stream.body])
    assert joined(deltas, Text) == "".join(piece.get("text", "") for piece in pieces)
    thoughts = "".join(piece.get("reasoningContent", {}).get("text", "") for piece in pieces)
    assert joined(deltas, Reasoning) == thoughts
    assert joined(deltas, ToolArgs) == "".join(piece.get("toolUse", {}).get("input", "") for piece in pieces)
    counts = events[-1]["usage"]
    assert deltas[-1] == Usage(counts["inputTokens"], counts["outputTokens"])


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.name[:80])
def test_a_recorded_whole_answer(path: Any) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["status"] != 200:
        return
    said = json.loads(record["body"])
    deltas = Bedrock().reader(ask(), hosted()).whole(json.dumps(said).encode())
    content = said["output"]["message"]["content"]
    assert joined(deltas, Text) == "".join(block.get("text", "") for block in content)
    calls = [
        block["toolUse"]
        for block in content
        if block.get("toolUse", {"type": "server_tool_use"}).get("type") != "server_tool_use"
    ]
    opened = [(each.id, each.name) for each in deltas if isinstance(each, ToolOpen)]
    assert opened == [(call["toolUseId"], call["name"]) for call in calls]
    usage = deltas[-1]
    assert isinstance(usage, Usage)
    assert usage.prompt_tokens + usage.completion_tokens == said["usage"]["totalTokens"]
