"""The dialect on answers as they were recorded, read a second time by the standard library."""

from __future__ import annotations

import json
from typing import Any

import pytest

from riverrun.dialects.anthropic import Anthropic
from riverrun.stream.deltas import Annotation, Delta, Finish, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.wire.sse import Decoder
from tests.dialects.anthropic_says import claude
from tests.dialects.asks import ask
from tests.dialects.languages import STREAMS, WHOLE, Stream

RECORDED = {name: each for name, each in STREAMS.items() if name.startswith("anthropic") and each.path is not None}
ANSWERS = [path for language, path in WHOLE if language.folder == "anthropic"]


def joined(deltas: list[Delta], kind: type[Text] | type[Reasoning] | type[ToolArgs]) -> str:
    return "".join(json.loads(each.literal) for each in deltas if isinstance(each, kind))


@pytest.mark.parametrize("stream", RECORDED.values(), ids=RECORDED)
def test_a_recorded_stream_says_what_it_says(stream: Stream) -> None:
    events: list[dict[str, Any]] = [json.loads(event.data) for event in Decoder().feed(stream.body)]
    pieces = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    ours = {each["index"] for each in events if each.get("content_block", {}).get("type") == "tool_use"}
    deltas = stream.read([stream.body])
    assert joined(deltas, Text) == "".join(piece.get("text", "") for piece in pieces)
    assert joined(deltas, Reasoning) == "".join(piece.get("thinking", "") for piece in pieces)
    arguments = [
        each["delta"].get("partial_json", "") for each in events if each.get("index") in ours and "delta" in each
    ]
    assert joined(deltas, ToolArgs) == "".join(arguments)
    cited = {each["citation"]["url"] for each in pieces if each["type"] == "citations_delta"}
    notes = [json.loads(each.value)["url_citation"] for each in deltas if isinstance(each, Annotation)]
    assert {note["url"] for note in notes} == cited
    text = joined(deltas, Text)
    assert all(text[note["start_index"] : note["end_index"]].strip() for note in notes)
    counts = events[-2]["usage"]
    usage = [each for each in deltas if isinstance(each, Usage)][-1]
    assert (usage.prompt_tokens, usage.completion_tokens) == (counts["input_tokens"], counts["output_tokens"])


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.name[:80])
def test_a_recorded_whole_answer(path: Any) -> None:
    said = json.loads(json.loads(path.read_text(encoding="utf-8"))["body"])
    reader = Anthropic().reader(ask(), claude())
    deltas = reader.whole(json.dumps(said).encode())
    assert joined(deltas, Text) == "".join(block["text"] for block in said["content"] if block["type"] == "text")
    calls = [block for block in said["content"] if block["type"] == "tool_use"]
    assert [(each.id, each.name) for each in deltas if isinstance(each, ToolOpen)] == [
        (call["id"], call["name"]) for call in calls
    ]
    arguments = [json.loads(json.loads(each.literal)) for each in deltas if isinstance(each, ToolArgs)]
    assert arguments == [call["input"] for call in calls if call["input"]]
    assert [each.reason for each in deltas if isinstance(each, Finish)] == ["tool_calls" if calls else "stop"]
