from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from riverrun.dialects.cohere import Cohere
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Annotation, Delta, Finish, Open, Reasoning, Usage
from riverrun.wire.chunk import PromptTokensDetails
from riverrun.wire.sse import Event
from tests.dialects.asks import ask
from tests.dialects.cohere_says import CALLS, OWN, START, call, content, end, event, stream
from tests.dialects.speaking import at, beside, called, heard, judged, never_looks_finished, survives_splits, text

RECORDINGS = sorted((Path(__file__).parents[2] / "../shared/recordings/cohere").glob("*.json"))

COHERE = Cohere()
TO = at("cohere")


def read(*events: dict[str, Any]) -> list[Delta]:
    return heard(COHERE, TO, [stream(*events)])


def test_an_answer_with_everything_in_it() -> None:
    deltas = heard(COHERE, TO, [OWN])
    assert deltas[0] == Open(0)
    assert text(deltas, Reasoning) == "Die Quellen sagen: süß."
    assert text(deltas) == "The tallest penguins 🐧 are in Antarctica."
    assert [each["url_citation"] for each in beside(deltas, Annotation)] == [
        {"start_index": 0, "end_index": 11, "url": "https://x.test/a", "title": "Tall"},
        {"start_index": 12, "end_index": 20, "url": "weather:0", "title": "weather:0"},
    ]
    assert deltas[-2:] == [Finish(0, "stop"), Usage(71, 418, PromptTokensDetails(cached_tokens=16))]
    assert judged(deltas) == []


def test_calls_and_the_plan_before_them() -> None:
    deltas = heard(COHERE, TO, [CALLS])
    assert text(deltas, Reasoning) == "I will look up the weather."
    assert called(deltas) == [("weather", '{"city": "Zürich"}'), ("weather", '{"city": "Bern"}')]
    assert Finish(0, "tool_calls") in deltas
    assert judged(deltas) == []


@pytest.mark.parametrize("answer", [OWN, CALLS])
def test_the_same_however_it_is_split_and_never_finished_before_its_end(answer: bytes) -> None:
    survives_splits(COHERE, TO, answer)
    never_looks_finished(COHERE, TO, answer, b'"message-end"')


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
    ],
)
def test_endings(word: str, reason: str) -> None:
    assert Finish(0, reason) in read(START, content(text="a"), end(word))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("ERROR", Cause.UPSTREAM_ERROR),
        ("TIMEOUT", Cause.UPSTREAM_ERROR),
        ("newly invented", Cause.UPSTREAM_MALFORMED),
        ("", Cause.UPSTREAM_MALFORMED),
    ],
)
def test_endings_that_are_none(word: str, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        read(START, content(text="a"), end(word, error="canary"))
    assert caught.value.cause is cause
    assert "canary" not in caught.value.message


def test_billed_units_count_where_no_tokens_do_and_nothing_is_no_count() -> None:
    billed = {"billed_units": {"input_tokens": 5.0, "output_tokens": 9.0}}
    assert read(content(text="a"), event("message-end", finish_reason="COMPLETE", usage=billed))[-1] == Usage(5, 9)
    assert read(content(text="a"), event("message-end", finish_reason="COMPLETE"))[-1] == Finish(0, "stop")


def test_what_follows_the_end_and_a_terminator_are_ignored() -> None:
    reader = COHERE.reader(ask(), TO)
    assert reader.read(Event(b"[DONE]")) == []
    for each in (START, content(text="a"), end()):
        reader.read(Event(json.dumps(each).encode()))
    assert reader.done
    assert reader.read(Event(b"{")) == []


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b'{"type":"content-delta","delta":5}', json.dumps(call(3, "{}")).encode(), b'{"type":"\xff"}'],
)
def test_what_is_no_event_is_malformed(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        COHERE.reader(ask(), TO).read(Event(data))
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


@pytest.mark.skipif(not RECORDINGS, reason="the recordings are not here")
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name[:80])
def test_a_recorded_whole_answer(path: Path) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))["body"]
    message = json.loads(body)["message"]
    reader = COHERE.reader(ask(), TO)
    deltas = reader.whole(body.encode())
    assert reader.done
    blocks = message.get("content") or ()
    assert text(deltas) == "".join(block.get("text", "") for block in blocks)
    thoughts = message.get("tool_plan", "") + "".join(block.get("thinking", "") for block in blocks)
    assert text(deltas, Reasoning) == thoughts
    calls = [(each["function"]["name"], each["function"]["arguments"]) for each in message.get("tool_calls", ())]
    assert called(deltas) == calls
    assert len(beside(deltas, Annotation)) == len(message.get("citations") or ())
    assert judged(deltas) == []


def test_a_whole_answer_that_is_none() -> None:
    with pytest.raises(Failure) as caught:
        COHERE.reader(ask(), TO).whole(b'{"message":"invalid request"}')
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, b'{"message":"invalid request: temperature"}', Cause.BAD_REQUEST),
        (400, b'{"message":"too many tokens: the limit for this model is 128000 tokens."}', Cause.CONTEXT_TOO_LONG),
        (401, b'{"message":"invalid api token canary"}', Cause.UPSTREAM_AUTH),
        (402, b'{"message":"billing canary"}', Cause.UPSTREAM_AUTH),
        (404, b'{"id":"1","message":"model \'x\' not found"}', Cause.UNKNOWN_MODEL),
        (422, b'{"message":"m"}', Cause.BAD_REQUEST),
        (429, b'{"message":"trial key canary"}', Cause.UPSTREAM_BUSY),
        (498, b'{"message":"blocked"}', Cause.CONTENT_POLICY),
        (499, b'{"message":"canary"}', Cause.UPSTREAM_ERROR),
        (500, b"", Cause.UPSTREAM_ERROR),
        (503, b"not json", Cause.UPSTREAM_BUSY),
    ],
)
def test_http_errors(status: int, body: bytes, cause: Cause) -> None:
    failure = COHERE.failure(status, {}, body, ask(), TO)
    assert failure.cause is cause
    assert "canary" not in failure.message
