from __future__ import annotations

import json
from typing import Any

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
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails
from riverrun.wire.sse import Event
from tests.dialects.anthropic_says import END, OLD, PING, begin, claude, ending, event, more, read, reader, start, stop
from tests.dialects.asks import ask

CACHE = PromptTokensDetails(cached_tokens=3, cache_write_tokens=2)


def said(*events: dict[str, Any], reason: str = "end_turn") -> list[Delta]:
    """What these events mean, without the opening, the counts and the end."""
    deltas = read([start(), *events, ending(reason), END])
    return [each for each in deltas if not isinstance(each, Open | Usage | Finish)]


def broken(*events: dict[str, Any] | Event) -> Failure:
    reads = reader()
    try:
        for each in events:
            reads.read(each if isinstance(each, Event) else event(each))
        reads.finish()
    except Failure as failure:
        return failure
    raise AssertionError("it was not broken")


def test_an_answer_from_its_opening_to_its_end() -> None:
    events = [
        start(),
        PING,
        begin(0, "text", text=""),
        more(0, "text_delta", text="Hi é"),
        stop(0),
        ending("end_turn"),
        END,
    ]
    assert read(events) == [
        Open(0, "claude-1"),
        Usage(10, 1, CACHE),
        Text(0, '"Hi é"'.encode()),
        Finish(0, "stop"),
        Usage(10, 9, CACHE),
    ]
    assert read(events, one=ask(n=3, choices=(2,)))[-2] == Finish(2, "stop")


def test_text_is_the_literal_that_came() -> None:
    reads = reader()
    raw = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":  "a\\u00e9\\/\xc3\xa9"}}   '
    assert reads.read(Event(raw, b"content_block_delta")) == [Text(0, b'"a\\u00e9\\/\xc3\xa9"')]


def test_thoughts_are_signed() -> None:
    one = b'{"type":"reasoning.text","signature":"s1","format":"anthropic-claude-v1"}'
    two = b'{"type":"reasoning.text","text":"so\\n","signature":"s2","format":"anthropic-claude-v1"}'
    sealed = b'{"type":"reasoning.encrypted","data":"zz","format":"anthropic-claude-v1"}'
    assert said(
        begin(0, "thinking", thinking="", signature=""),
        more(0, "thinking_delta", thinking="hm"),
        more(0, "signature_delta", signature="s1"),
        stop(0),
        begin(1, "redacted_thinking", data="zz"),
        stop(1),
        begin(2, "thinking", thinking="", signature=""),
        more(2, "thinking_delta", thinking="so"),
        more(2, "thinking_delta", thinking="\n"),
        more(2, "signature_delta", signature="s2"),
        stop(2),
    ) == [
        Reasoning(0, b'"hm"'),
        Signature(0, one),
        Signature(0, sealed),
        Reasoning(0, b'"so"'),
        Reasoning(0, b'"\\n"'),
        Signature(0, two),
    ]


def test_calls_in_pieces_at_once_and_without_arguments() -> None:
    assert said(
        begin(1, "tool_use", id="a", name="f", input={}),
        more(1, "input_json_delta", partial_json=""),
        more(1, "input_json_delta", partial_json='{"x":'),
        more(1, "input_json_delta", partial_json="1}"),
        stop(1),
        begin(2, "tool_use", id="b", name="g", input={"y": "ü"}),
        stop(2),
        begin(3, "tool_use", id="c", name="h", input={}),
        stop(3),
        reason="tool_use",
    ) == [
        ToolOpen(0, 1, "a", "f"),
        ToolArgs(0, 1, b'"{\\"x\\":"'),
        ToolArgs(0, 1, b'"1}"'),
        ToolOpen(0, 2, "b", "g"),
        ToolArgs(0, 2, '"{\\"y\\":\\"ü\\"}"'.encode()),
        ToolOpen(0, 3, "c", "h"),
    ]


def test_tools_that_the_upstream_runs_are_not_the_answer() -> None:
    events = [
        begin(0, "server_tool_use", id="s", name="web_search", input={}),
        more(0, "input_json_delta", partial_json='{"query":"x"}'),
        stop(0),
        begin(1, "web_search_tool_result", tool_use_id="s", content=[{"type": "web_search_result", "title": "t"}]),
        stop(1),
        begin(2, "something_new", text=5),
        more(2, "something_delta", words="x"),
        stop(2),
        {"type": "something_else"},
    ]
    assert said(*events) == []


def test_citations_have_their_place_in_the_text() -> None:
    web = {"type": "web_search_result_location", "url": "https://x.test", "title": None, "cited_text": "…"}
    page = {"type": "page_location", "document_index": 0, "cited_text": "…"}
    notes = said(
        begin(0, "text", text=""),
        more(0, "text_delta", text="So: 🌍"),
        stop(0),
        begin(1, "text", text=""),
        more(1, "citations_delta", citation=web),
        more(1, "citations_delta", citation=web),
        more(1, "citations_delta", citation=page),
        more(1, "text_delta", text='it "is"'),
        stop(1),
    )[2:]
    place = {"start_index": 5, "end_index": 12, "title": "", "url": "https://x.test"}
    assert [json.loads(each.value) for each in notes if isinstance(each, Annotation)] == [
        {"type": "url_citation", "url_citation": place}
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"), ("stop_sequence", "stop"), ("pause_turn", "stop"), ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"), ("compaction", "length"), ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)  # fmt: skip
def test_reasons_to_stop(word: str, reason: str) -> None:
    assert [each.reason for each in read([start(), ending(word), END]) if isinstance(each, Finish)] == [reason]


def test_a_reason_that_nobody_knows_is_no_guess() -> None:
    assert broken(start(), ending("bored"), END).cause is Cause.UPSTREAM_MALFORMED


def test_counts_are_cumulative_and_the_last_ones_are_true() -> None:
    late = {"input_tokens": 100, "cache_read_input_tokens": None, "output_tokens_details": {"thinking_tokens": 4}}
    usage = read([start(), ending(None, output_tokens=2), ending("end_turn", **late), END])[-1]
    assert usage == Usage(105, 9, CACHE, CompletionTokensDetails(reasoning_tokens=4))


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("overloaded_error", Cause.UPSTREAM_BUSY),
        ("rate_limit_error", Cause.UPSTREAM_BUSY),
        ("api_error", Cause.UPSTREAM_ERROR),
        ("something_new", Cause.UPSTREAM_ERROR),
        ("timeout_error", Cause.UPSTREAM_TIMEOUT),
    ],
)
def test_an_error_inside_the_stream(kind: str, cause: Cause) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "sk-secret"}}
    failure = broken(start(), error)
    assert failure.cause is cause
    assert "secret" not in failure.message
    assert broken(Event(b"not json", b"error")).cause is Cause.UPSTREAM_ERROR


def test_the_end_without_a_reason_is_a_cut() -> None:
    for events in (
        [],
        [start()],
        [start(), begin(0, "text", text="x"), stop(0)],
        [start(), END],
        [start(), ending(None)],
    ):
        assert broken(*events).cause is Cause.UPSTREAM_INTERRUPTED


def test_what_comes_after_the_end_is_ignored() -> None:
    reads = reader()
    for each in (start(), ending("end_turn")):
        reads.read(event(each))
    assert not reads.done
    reads.read(event(END))
    assert reads.done
    assert reads.read(Event(b"garbage")) == []


@pytest.mark.parametrize(
    "data",
    [
        b"garbage",
        b"[]",
        b'{"type":5}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":5}}',
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"\xff"}}',
        b'{"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"\xed\xa0\xbd"}}',
        b'{"type":"content_block_start","content_block":{"type":"tool_use","id":"a"}}',
        b'{"type":"message_start","message":{"usage":{"input_tokens":"many"}}}',
        b'{"type":"ping","x":' + b"[" * 100_000,
    ],
)
def test_a_malformed_event_is_a_failure_of_the_upstream(data: bytes) -> None:
    assert broken(start(), Event(data, b"x"), ending("end_turn"), END).cause is Cause.UPSTREAM_MALFORMED


def test_an_answer_that_came_whole() -> None:
    content = [
        {"type": "thinking", "thinking": "hm", "signature": "s1"},
        {"type": "text", "text": "Hi", "citations": [{"type": "web_search_result_location", "url": "https://x.test"}]},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
    ]
    usage = {"input_tokens": 1, "output_tokens": 2}
    body = {"type": "message", "model": "claude-1", "content": content, "stop_reason": "tool_use", "usage": usage}
    reads = reader()
    deltas = reads.whole(json.dumps(body).encode())
    assert [type(each).__name__ for each in deltas] == [
        "Open", "Reasoning", "Signature", "Text", "Annotation", "ToolOpen", "ToolArgs", "Finish", "Usage",
    ]  # fmt: skip
    assert deltas[6] == ToolArgs(0, 2, b'"{\\"x\\":1}"')
    assert reads.done


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"<html>", Cause.UPSTREAM_MALFORMED),
        (b"{}", Cause.UPSTREAM_INTERRUPTED),
        (b'{"type":"error","error":{"type":"overloaded_error"}}', Cause.UPSTREAM_BUSY),
        (b'{"type":"message","content":[{"type":"text","text":5}]}', Cause.UPSTREAM_MALFORMED),
    ],
)
def test_a_whole_answer_that_is_none(body: bytes, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        reader().whole(body)
    assert caught.value.cause is cause


def test_an_answer_that_a_tool_was_made_for() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "city", "schema": {"type": "object"}}}
    events = [
        start(),
        begin(0, "tool_use", id="a", name="city", input={}),
        more(0, "input_json_delta", partial_json='{"x":1}'),
        stop(0),
        ending("tool_use"),
        END,
    ]
    deltas = read(events, claude(OLD), ask(response_format=wanted))
    assert [each for each in deltas if isinstance(each, Text | Finish)] == [
        Text(0, b'"{\\"x\\":1}"'),
        Finish(0, "stop"),
    ]
