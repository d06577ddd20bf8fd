from __future__ import annotations

import json

import pytest

from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import (
    Annotation,
    Delta,
    Finish,
    Open,
    Reasoning,
    Signature,
    Text,
    ToolArgs,
    ToolOpen,
    Usage,
)
from riverrun.wire.chunk import PromptTokensDetails
from riverrun.wire.sse import Event
from tests.dialects.asks import ask
from tests.dialects.bedrock_says import (
    NOVA,
    START,
    Said,
    begin,
    ending,
    event,
    hosted,
    metadata,
    more,
    read,
    reader,
    stop,
)


def said(*events: Said, reason: str = "end_turn") -> list[Delta]:
    """What these events mean, without the opening, the counts and the end."""
    deltas = read([START, *events, ending(reason), metadata()])
    return [each for each in deltas if not isinstance(each, Open | Usage | Finish)]


def broken(*events: Said | Event) -> Failure:
    reads = reader()
    try:
        for each in events:
            reads.read(each if isinstance(each, Event) else event(each))
        reads.finish()
    except Failure as failure:
        return failure
    raise AssertionError("it was not broken")


def test_an_answer_from_its_opening_to_its_counts() -> None:
    events = [START, more(0, text=""), more(0, text="Hi é"), stop(0), ending("end_turn"), metadata()]
    assert read(events) == [Open(0), Text(0, '"Hi é"'.encode()), Finish(0, "stop"), Usage(5, 9)]
    cached = metadata(cacheReadInputTokens=3, cacheWriteInputTokens=2)
    details = PromptTokensDetails(cached_tokens=3, cache_write_tokens=2)
    assert read([START, ending("end_turn"), cached])[-1] == Usage(10, 9, details)


def test_thoughts_are_signed() -> None:
    deltas = said(
        more(0, reasoningContent={"text": "hm"}),
        more(0, reasoningContent={"signature": "s1"}),
        stop(0),
        more(1, reasoningContent={"redactedContent": "zz"}),
        stop(1),
        more(2, reasoningContent={"text": "so"}),
        more(2, reasoningContent={"signature": "s2"}),
    )
    assert [each for each in deltas if isinstance(each, Reasoning)] == [Reasoning(0, b'"hm"'), Reasoning(0, b'"so"')]
    mark = {"format": "anthropic-claude-v1"}
    assert [json.loads(each.value) for each in deltas if isinstance(each, Signature)] == [
        {"type": "reasoning.text", "signature": "s1", **mark},
        {"type": "reasoning.encrypted", "data": "zz", **mark},
        {"type": "reasoning.text", "text": "so", "signature": "s2", **mark},
    ]


def test_calls_and_tools_that_the_upstream_runs() -> None:
    assert said(
        begin(0, toolUse={"toolUseId": "a", "name": "f"}),
        more(0, toolUse={"input": ""}),
        more(0, toolUse={"input": '{"x":1}'}),
        stop(0),
        begin(1, toolUse={"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}),
        more(1, toolUse={"input": '{"code":"1"}'}),
        stop(1),
        begin(2, toolResult={"toolUseId": "s"}),
        more(2, toolResult=[{"json": {"x": 1}}]),
        stop(2),
        ("somethingNew", {"x": 1}),
        reason="tool_use",
    ) == [ToolOpen(0, 0, "a", "f"), ToolArgs(0, 0, b'"{\\"x\\":1}"')]


def test_citations() -> None:
    cited = {"title": "T", "location": {"web": {"url": "https://x.test"}}}
    notes = said(more(0, text="Hi"), more(0, citation=cited), more(0, citation={"title": "a document"}), stop(0))[1:]
    place = {"start_index": 0, "end_index": 2, "title": "T", "url": "https://x.test"}
    assert [json.loads(each.value)["url_citation"] for each in notes if isinstance(each, Annotation)] == [place]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"),
        ("model_context_window_exceeded", "length"), ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)  # fmt: skip
def test_reasons_to_stop(word: str, reason: str) -> None:
    assert [each.reason for each in read([START, ending(word), metadata()]) if isinstance(each, Finish)] == [reason]


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("malformed_tool_use", Cause.UPSTREAM_ERROR),
        ("malformed_model_output", Cause.UPSTREAM_ERROR),
        ("bored", Cause.UPSTREAM_MALFORMED),
    ],
)
def test_reasons_that_are_none(word: str, cause: Cause) -> None:
    assert broken(START, ending(word), metadata()).cause is cause


def test_an_exception_inside_the_stream() -> None:
    assert broken(START, more(0, text="x"), ("throttlingException", {"message": "x"})).cause is Cause.UPSTREAM_BUSY
    assert broken(START, Event(b'{"code":"x"}', b"error")).cause is Cause.UPSTREAM_ERROR


def test_the_end_without_a_reason_is_a_cut_and_without_counts_is_not() -> None:
    for events in ([], [START], [START, more(0, text="x"), stop(0)], [START, metadata()]):
        assert broken(*events).cause is Cause.UPSTREAM_INTERRUPTED
    assert read([START, ending("end_turn")])[-1] == Finish(0, "stop")


def test_done_comes_with_the_counts() -> None:
    reads = reader()
    for each in (START, ending("end_turn")):
        reads.read(event(each))
    assert not reads.done
    reads.read(event(metadata()))
    assert reads.done
    assert reads.read(Event(b"garbage", b"metadata")) == []


@pytest.mark.parametrize(
    "data",
    [
        b"garbage",
        b"[]",
        b'{"delta":{"text":5}}',
        b'{"delta":{"text":"\xff"}}',
        b'{"delta":{"toolUse":5}}',
        b'{"contentBlockIndex":"x"}',
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_a_malformed_event_is_a_failure_of_the_upstream(data: bytes) -> None:
    assert broken(START, Event(data, b"contentBlockDelta")).cause is Cause.UPSTREAM_MALFORMED
    assert broken(begin(0, toolUse={"name": "f"})).cause is Cause.UPSTREAM_MALFORMED


def test_an_answer_that_came_whole() -> None:
    content = [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "Hi"},
        {
            "citationsContent": {
                "content": [{"text": "!"}],
                "citations": [{"location": {"web": {"url": "https://x.test"}}}],
            }
        },
        {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1}}},
    ]
    usage = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}
    body = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "tool_use", "usage": usage}
    reads = reader()
    deltas = reads.whole(json.dumps(body).encode())
    assert [type(each).__name__ for each in deltas] == [
        "Open", "Reasoning", "Signature", "Text", "Text", "Annotation", "ToolOpen", "ToolArgs", "Finish", "Usage",
    ]  # fmt: skip
    assert deltas[7] == ToolArgs(0, 3, b'"{\\"x\\":1}"')
    assert reads.done


@pytest.mark.parametrize(
    ("body", "cause"), [(b"<html>", Cause.UPSTREAM_MALFORMED), (b"{}", Cause.UPSTREAM_INTERRUPTED)]
)
def test_a_whole_answer_that_is_none(body: bytes, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        reader().whole(body)
    assert caught.value.cause is cause


def test_an_answer_that_a_tool_was_made_for() -> None:
    events = [
        START,
        begin(0, toolUse={"toolUseId": "a", "name": "json_answer"}),
        stop(0),
        ending("tool_use"),
        metadata(),
    ]
    deltas = read(events, hosted(NOVA), ask(response_format={"type": "json_object"}))
    assert deltas[1:3] == [Text(0, b'"{}"'), Finish(0, "stop")]
