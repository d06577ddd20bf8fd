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
    Refusal,
    Signature,
    Text,
    ToolArgs,
    ToolOpen,
    Usage,
)
from riverrun.wire.chunk import CompletionTokensDetails, PromptTokensDetails
from riverrun.wire.sse import Event
from tests.dialects.asks import ask
from tests.dialects.responding import (
    USAGE,
    Json,
    answer,
    arguments,
    body_of,
    call,
    created,
    ended,
    item,
    read,
    read_bytes,
    reader,
    text,
)

COUNTED = Usage(11, 7, PromptTokensDetails(cached_tokens=3), CompletionTokensDetails(reasoning_tokens=2))


def said(*events: Json, **body: Any) -> list[Delta]:
    """What these events mean, without the opening and the end."""
    deltas = read([created(), *events, ended()], ask(**body))
    assert isinstance(deltas[0], Open)
    assert deltas[-2] == COUNTED
    assert isinstance(deltas[-1], Finish)
    return deltas[1:-2]


def failed(*events: Json) -> Failure:
    with pytest.raises(Failure) as caught:
        read([created(), *events])
    return caught.value


def test_text_is_passed_on_as_it_came() -> None:
    assert said(text("Hel"), text(""), text("lo é")) == [Text(0, b'"Hel"'), Text(0, '"lo é"'.encode())]
    done = {"type": "response.output_text.done", "text": "Hello"}
    part = {"type": "response.content_part.added", "part": {"type": "output_text", "text": ""}}
    assert said(part, text("x"), done) == [Text(0, b'"x"')]


def test_empty_texts_say_nothing() -> None:
    kinds = ("response.refusal.delta", "response.reasoning_text.delta", "response.output_text.delta")
    assert said(created(), *({"type": kind, "delta": ""} for kind in kinds)) == []
    assert said(call(0), arguments(0, "")) == [ToolOpen(0, 0, "call_0", "f")]


def test_who_answers_and_what_it_cost() -> None:
    deltas = read([created(), text("x"), ended(service_tier="default")], ask(choices=(2,)))
    assert deltas == [Open(2, "gpt-5-1"), Text(2, b'"x"'), COUNTED, Finish(2, "stop")]
    given = {**created(), "response": answer("in_progress", service_tier="flex")}
    assert read([given, text("x"), ended()])[0] == Open(0, "gpt-5-1", None, "flex")


def test_thoughts_and_their_seal() -> None:
    summary = {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "hm"}
    open_part = {"type": "response.reasoning_text.delta", "content_index": 0, "delta": "so"}
    parts = [{"type": "response.reasoning_summary_part.added", "summary_index": number} for number in (0, 1)]
    unfinished = item("reasoning", 0, id="rs_1", encrypted_content="half", summary=[])
    whole = item("reasoning", 0, "done", id="rs_1", encrypted_content="zz", summary=[{"text": "hm"}])
    assert said(unfinished, parts[0], summary, parts[1], open_part, whole) == [
        Reasoning(0, b'"hm"'),
        Reasoning(0, b'"\\n\\n"'),
        Reasoning(0, b'"so"'),
        Signature(0, b'{"type":"reasoning.encrypted","id":"rs_1","data":"zz","format":"openai-responses-v1"}'),
    ]
    assert said(item("reasoning", 0, "done", id="rs_1", encrypted_content=None)) == []


def test_calls_are_told_apart_by_their_place() -> None:
    deltas = read(
        [
            created(),
            call(1),
            call(2, "g"),
            arguments(1, '{"a"'),
            arguments(2, "{}"),
            arguments(1, ":1}"),
            {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": '{"a":1}'},
            call(1, arguments='{"a":1}', when="done"),
            call(2, "g", arguments="{}", when="done"),
            ended(),
        ]
    )
    assert deltas[1:-2] == [
        ToolOpen(0, 1, "call_1", "f"),
        ToolOpen(0, 2, "call_2", "g"),
        ToolArgs(0, 1, b'"{\\"a\\""'),
        ToolArgs(0, 2, b'"{}"'),
        ToolArgs(0, 1, b'":1}"'),
    ]
    assert deltas[-1] == Finish(0, "tool_calls")


@pytest.mark.parametrize(
    "events",
    [
        [call(0), {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}],
        [call(0), call(0, arguments="{}", when="done")],
        [call(0, arguments="{}", when="done")],
        [call(0, arguments="{}"), call(0, arguments="{}", when="done")],
    ],
)
def test_arguments_that_come_only_whole_come_once(events: list[Json]) -> None:
    assert said(*events) == [ToolOpen(0, 0, "call_0", "f"), ToolArgs(0, 0, b'"{}"')]


def test_a_refusal() -> None:
    assert said({"type": "response.refusal.delta", "delta": "No"}) == [Refusal(0, b'"No"')]


def test_annotations_become_the_chats_own() -> None:
    found = {"type": "url_citation", "start_index": 1, "end_index": 2, "title": "T", "url": "https://x.test"}
    added = {"type": "response.output_text.annotation.added", "annotation_index": 0, "annotation": found}
    (each,) = said(added)
    assert isinstance(each, Annotation)
    fields = {name: value for name, value in found.items() if name != "type"}
    assert json.loads(each.value) == {"type": "url_citation", "url_citation": fields}
    file = {"type": "file_citation", "file_id": "f", "filename": "a.pdf", "index": 3}
    (each,) = said({**added, "annotation": file})
    assert isinstance(each, Annotation)
    assert json.loads(each.value) == {"type": "file_citation", "file_id": "f", "filename": "a.pdf"}
    assert said({**added, "annotation": None}) == []


def test_probabilities_only_where_they_were_asked_for() -> None:
    token = {"token": "x", "logprob": -0.5, "bytes": [120], "top_logprobs": [{"token": "x", "logprob": -0.5}]}
    assert said(text("x", logprobs=[token])) == [Text(0, b'"x"')]
    (each,) = said(text("x", logprobs=[token]), logprobs=True, top_logprobs=0)
    assert isinstance(each, Text)
    assert json.loads(each.logprobs or b"") == [{**token, "top_logprobs": []}]


def test_what_the_provider_did_by_itself_is_nothing_to_the_caller() -> None:
    assert (
        said(
            item("web_search_call", 0, id="ws_1", status="in_progress"),
            {"type": "response.web_search_call.searching", "output_index": 0},
            item("web_search_call", 0, "done", id="ws_1", action={"type": "search", "query": "q"}),
            item("mcp_call", 1, id="m_1", name="f", arguments="{}"),
            {"type": "response.mcp_call_arguments.delta", "output_index": 1, "delta": "{}"},
            item("tool_search_call", 2, "done", arguments={"paths": []}, content="x"),
            {"type": "response.of.a.later.day", "delta": {"new": True}},
        )
        == []
    )


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("max_messages", "length"), ("content_filter", "content_filter")],
)
def test_an_incomplete_answer_says_why(reason: str, finish: str) -> None:
    deltas = read([created(), text("x"), ended("incomplete", incomplete_details={"reason": reason})])
    assert deltas[-1] == Finish(0, finish)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (ended("incomplete", incomplete_details={"reason": "steered"}), Cause.UPSTREAM_MALFORMED),
        (ended("incomplete", incomplete_details=None), Cause.UPSTREAM_MALFORMED),
        (ended("cancelled"), Cause.UPSTREAM_MALFORMED),
        ({"type": "response.completed"}, Cause.UPSTREAM_MALFORMED),
        (ended("failed", error={"code": "server_error", "message": "m"}), Cause.UPSTREAM_ERROR),
        (ended("failed", error={"code": "rate_limit_exceeded", "message": "m"}), Cause.UPSTREAM_BUSY),
        (ended("failed", error={"code": "invalid_prompt", "message": "m"}), Cause.CONTENT_POLICY),
        (ended("failed", error={"code": "image_too_large", "message": "m"}), Cause.BAD_REQUEST),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}, Cause.UPSTREAM_BUSY),
        ({"type": "error", "error": {"code": "context_length_exceeded", "message": "m"}}, Cause.CONTEXT_TOO_LONG),
        ({"type": "error", "code": None, "message": "m"}, Cause.UPSTREAM_ERROR),
        (item("custom_tool_call", 0, name="c", call_id="call_1"), Cause.UPSTREAM_MALFORMED),
        (item("function_call", 0, call_id="call_1"), Cause.UPSTREAM_MALFORMED),
        (arguments(5, "{}"), Cause.UPSTREAM_MALFORMED),
        ({"type": "response.output_text.delta", "delta": 5}, Cause.UPSTREAM_MALFORMED),
        ({"type": "response.output_item.added"}, Cause.UPSTREAM_MALFORMED),
        ({"type": "response.output_text.annotation.added", "annotation": "x"}, Cause.UPSTREAM_MALFORMED),
    ],
)
def test_every_other_ending_is_a_failure(event: Json, cause: Cause) -> None:
    assert failed(text("x"), event).cause is cause


def test_an_answer_without_an_ending_is_cut_whatever_else_came() -> None:
    for tail in (b"", b"data: [DONE]\n\n"):
        with pytest.raises(Failure) as caught:
            read_bytes(body_of([created(), text("x"), text("y")]) + tail, [10_000])
        assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


def test_what_follows_the_ending_is_ignored() -> None:
    body = body_of([created(), text("x"), ended()]) + b"data: [DONE]\n\ndata: {broken\n\n"
    assert read_bytes(body, [10_000])[-1] == Finish(0, "stop")


@pytest.mark.parametrize(
    "data",
    [
        b'{"type":"response.output_text.delta","delta":"\xff"}',
        b'{"type":"response.output_text.delta","delta":"x"',
        b'{"type":"x","y":' + b"[" * 100_000 + b"}",
        b'{"type":5}',
        b'{"type":"response.output_text.delta","delta":"\\ud83d\\ud83d"}',
    ],
)
def test_a_malformed_event_is_a_failure(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        reader().read(Event(data))
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


def test_a_character_that_came_in_two_halves_is_one() -> None:
    reads = reader()
    head = b'{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":'
    first = reads.read(Event(head + b'"a\\ud83d"}'))
    second = reads.read(Event(head + b'"\\ude00b"}'))
    assert first + second == [Text(0, b'"a"'), Text(0, '"😀b"'.encode())]
    reads.read(Event(head + b'"\\ud83d"}'))
    with pytest.raises(Failure, match="half a character"):
        reads.read(Event(json.dumps(ended()).encode()))


def test_a_whole_answer() -> None:
    output = [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}, {"type": "summary_text", "text": "so"}],
            "encrypted_content": "zz",
        },
        {"type": "web_search_call", "id": "ws_1", "content": "x"},
        {
            "type": "message",
            "id": "msg_1",
            "content": [
                {
                    "type": "output_text",
                    "text": "Hi",
                    "annotations": [{"type": "file_path", "file_id": "f", "index": 1}],
                },
                {"type": "refusal", "refusal": "No"},
                {"type": "of_a_later_day"},
            ],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
    ]
    reads = reader()
    deltas = reads.whole(json.dumps(answer(output=output, usage=USAGE)).encode())
    assert deltas == [
        Open(0, "gpt-5-1"),
        Reasoning(0, b'"hm"'),
        Reasoning(0, b'"\\n\\n"'),
        Reasoning(0, b'"so"'),
        Signature(0, b'{"type":"reasoning.encrypted","id":"rs_1","data":"zz","format":"openai-responses-v1"}'),
        Text(0, b'"Hi"'),
        Annotation(0, b'{"type":"file_path","file_id":"f"}'),
        Refusal(0, b'"No"'),
        ToolOpen(0, 3, "call_1", "f"),
        ToolArgs(0, 3, b'"{}"'),
        COUNTED,
        Finish(0, "tool_calls"),
    ]
    assert reads.done
    assert reads.finish() == []


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b'{"error":{"message":"x","code":"server_error"}}', Cause.UPSTREAM_ERROR),
        (b"<html>", Cause.UPSTREAM_MALFORMED),
        (b'{"status":"queued"}', Cause.UPSTREAM_MALFORMED),
        (b'{"status":"failed","error":{"code":"bio_policy","message":"m"}}', Cause.CONTENT_POLICY),
        (b'{"status":"completed","output":[{"type":"message","content":"x"}]}', Cause.UPSTREAM_MALFORMED),
    ],
)
def test_a_whole_answer_that_is_none(body: bytes, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        reader().whole(body)
    assert caught.value.cause is cause
