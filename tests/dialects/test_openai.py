"""The dialect on streams as they were recorded, and its schema tools from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Text, ToolArgs, ToolOpen, Usage
from riverrun.wire.sse import Decoder
from tests.dialects.asks import ask, chunk, engine, read, read_bytes, reader, target

RECORDINGS = Path(__file__).parents[2] / "../shared/recordings/openai"
STREAMS = sorted(RECORDINGS.glob("*.stream.json"))
WHOLE = sorted(RECORDINGS.glob("*.json.json"))

recorded = pytest.mark.skipif(not STREAMS, reason="the recordings are not here")


def recording(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def stream(path: Path) -> bytes:
    body: str = recording(path)["body"]
    return body.encode()


def has_error(body: bytes) -> bool:
    return b'{"error":' in body


def expected(body: bytes) -> tuple[str, str]:
    """The text and the arguments of a recorded stream, read by the standard library."""
    text, arguments = "", ""
    for event in Decoder().feed(body):
        for choice in json.loads(event.data)["choices"] if event.data != b"[DONE]" else ():
            content = choice["delta"].get("content") or ""
            parts = [{"text": content}] if isinstance(content, str) else content
            text += "".join(part.get("text", "") for part in parts)
            for call in choice["delta"].get("tool_calls") or ():
                arguments += call["function"].get("arguments") or ""
    return text, arguments


@recorded
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[:60])
def test_a_recorded_stream_says_what_it_says(path: Path) -> None:
    body = stream(path)
    if has_error(body):
        with pytest.raises(Failure) as caught:
            read_bytes(body, [len(body)])
        assert caught.value.cause is Cause.UPSTREAM_MALFORMED
        return
    deltas = read_bytes(body, [len(body)])
    text = "".join(json.loads(each.literal) for each in deltas if isinstance(each, Text))
    arguments = "".join(json.loads(each.literal) for each in deltas if isinstance(each, ToolArgs))
    assert (text, arguments) == expected(body)
    assert [each.choice for each in deltas if isinstance(each, Finish)] == [0]
    assert any(isinstance(each, Usage) for each in deltas)


@recorded
@settings(max_examples=30, deadline=None)
@given(path=st.sampled_from(STREAMS or [Path()]), sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_a_recorded_stream_says_the_same_however_it_is_split(path: Path, sizes: list[int]) -> None:
    body = stream(path)
    if not has_error(body):
        assert read_bytes(body, sizes) == read_bytes(body, [len(body)])


@recorded
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[:60])
def test_a_stream_that_was_cut_never_looks_finished(path: Path) -> None:
    events = Decoder().feed(stream(path))
    if any(event.name == b"error" for event in events):
        return
    finished = next(at for at, event in enumerate(events) if b'"finish_reason":"' in event.data.replace(b" ", b""))
    for kept in range(len(events) + 1):
        reads = reader()
        for event in events[:kept]:
            reads.read(event)
        if kept > finished:
            reads.finish()
        else:
            assert not reads.done
            with pytest.raises(Failure) as caught:
                reads.finish()
            assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


@recorded
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name[:60])
def test_a_recorded_whole_answer(path: Path) -> None:
    record = recording(path)
    body = record["body"].encode()
    if record["status"] != 200 or not body.startswith(b"{"):
        return
    to = target("snowflake" if "snowflake" in record["url"] else "compatible")
    deltas = reader(to).whole(body)
    message = json.loads(body)["choices"][0]["message"]
    text = "".join(json.loads(each.literal) for each in deltas if isinstance(each, Text))
    content = message.get("content") or ""
    assert text == (content if isinstance(content, str) else "".join(part.get("text", "") for part in content))
    opened = [each.name for each in deltas if isinstance(each, ToolOpen)]
    assert opened == [call["function"]["name"] for call in message.get("tool_calls") or ()]


TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def answered(document: str, cut: int, finish: str = "stop", **body: Any) -> list[Delta]:
    pieces = [document[at : at + cut] for at in range(0, len(document), cut)]
    events = [*(chunk({"content": piece}) for piece in pieces), chunk(finish=finish), b"[DONE]"]
    return read(events, engine(tools="schema"), ask(tools=TOOLS, **body))[1:]


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_schema_tools_give_calls_back(cut: int) -> None:
    deltas = answered('{"tool_calls": [{"name": "f", "arguments": {"a": "é\\n"}}]}', cut, tool_choice="required")
    opened = deltas[0]
    assert isinstance(opened, ToolOpen)
    assert opened.name == "f"
    assert "".join(json.loads(each.literal) for each in deltas if isinstance(each, ToolArgs)) == '{"a":"é\\n"}'
    assert deltas[-1] == Finish(0, "tool_calls")


def test_schema_tools_give_text_back_and_plain_text_where_no_call_may_be_made() -> None:
    assert answered('{"content": "Hi"}', 1000) == [Text(0, b'"Hi"'), Finish(0, "stop")]
    assert answered("Hi", 1000, tool_choice="none") == [Text(0, b'"Hi"'), Finish(0, "stop")]
    old = read(
        [chunk({"content": '{"content": "Hi"}'}), chunk(finish="stop"), b"[DONE]"],
        engine(tools="schema"),
        ask(functions=[{"name": "f"}]),
    )
    assert Text(0, b'"Hi"') in old


def test_schema_tools_read_a_whole_answer_too() -> None:
    message = {"role": "assistant", "content": '{"content": "Hi"}'}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    reads = reader(engine(tools="schema"), ask(tools=TOOLS))
    assert Text(0, b'"Hi"') in reads.whole(body)
    assert reads.done
