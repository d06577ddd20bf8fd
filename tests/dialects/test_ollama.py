from __future__ import annotations

import json
from typing import Any

import pytest

from riverrun.dialects.ollama import Ollama
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Open, Reasoning, Text, ToolOpen, Usage
from riverrun.wire.sse import Event
from tests.dialects.asks import ask
from tests.dialects.ollama_says import OWN, call, last, line, stream
from tests.dialects.speaking import at, called, heard, judged, never_looks_finished, survives_splits, text

OLLAMA = Ollama()
TO = at("ollama")


def read(*lines: dict[str, Any], **body: Any) -> list[Delta]:
    return heard(OLLAMA, TO, [stream(*lines)], ask(**body))


def test_an_answer_with_everything_in_it() -> None:
    deltas = heard(OLLAMA, TO, [OWN])
    assert deltas[0] == Open(0)
    assert text(deltas, Reasoning) == "The user wants the weather."
    assert text(deltas) == "Einen Moment, süß 😀"
    assert called(deltas) == [("weather", '{"city":"Zürich","days":2}'), ("clock", "{}")]
    assert deltas[-2:] == [Finish(0, "stop"), Usage(26, 298)]
    assert judged(deltas) == []


def test_the_same_however_it_is_split_and_never_finished_before_its_end() -> None:
    survives_splits(OLLAMA, TO, OWN)
    never_looks_finished(OLLAMA, TO, OWN, b'"done": true')


def test_what_follows_the_end_is_ignored() -> None:
    assert read(line({"content": "a"}), last(), line({"content": "b"}))[-1] == Usage(26, 298)


@pytest.mark.parametrize(("word", "reason"), [("stop", "stop"), ("length", "length"), (None, "stop")])
def test_endings(word: str | None, reason: str) -> None:
    assert Finish(0, reason) in read(line({"content": "a"}), last(word))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("load", Cause.UPSTREAM_ERROR),
        ("unload", Cause.UPSTREAM_ERROR),
        ("newly invented", Cause.UPSTREAM_MALFORMED),
    ],
)
def test_endings_that_are_none(word: str, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        read(last(word))
    assert caught.value.cause is cause


def test_an_error_line_under_status_200() -> None:
    with pytest.raises(Failure) as caught:
        read(line({"content": "a"}), {"error": "an error was encountered at /home/somebody/.ollama/canary"})
    assert caught.value.cause is Cause.UPSTREAM_ERROR
    assert "canary" not in caught.value.message


def test_probabilities_when_they_are_asked_for() -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1}]}]
    lines = (line({"thinking": "t"}, logprobs=tokens), line({"content": "a"}, logprobs=tokens), last())
    found = [each for each in read(*lines, logprobs=True, top_logprobs=1) if isinstance(each, Text)]
    assert len(found) == 1
    assert json.loads(found[0].logprobs or b"") == [
        {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.0, "bytes": None}]}
    ]
    assert all(each.logprobs is None for each in read(*lines) if isinstance(each, Text))


def test_calls_without_ids_get_some() -> None:
    ids = [each.id for each in read(line(call("f", {})), line(call("f", {})), last()) if isinstance(each, ToolOpen)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"message":{"content":5}}', b'{"message":{"tool_calls":[{"function":{}}]}}']
)
def test_what_is_no_line_is_malformed(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        OLLAMA.reader(ask(), TO).read(Event(data))
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


def test_a_whole_answer() -> None:
    whole = {**last(), "message": {"role": "assistant", "content": "Hi"}}
    reader = OLLAMA.reader(ask(), TO)
    assert text(reader.whole(json.dumps(whole, indent=1).encode())) == "Hi"
    assert reader.done
    with pytest.raises(Failure) as caught:
        OLLAMA.reader(ask(), TO).whole(json.dumps(line({"content": "Hi"})).encode())
    assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, b'{"error":"\\"x\\" does not support tools"}', Cause.BAD_REQUEST),
        (401, b'{"error":"unauthorized canary"}', Cause.UPSTREAM_AUTH),
        (404, b'{"error":"model \'x\' not found"}', Cause.UNKNOWN_MODEL),
        (404, b"404 page not found", Cause.UPSTREAM_ERROR),
        (500, b'{"error":"canary"}', Cause.UPSTREAM_ERROR),
        (503, b'{"error":"server busy canary"}', Cause.UPSTREAM_BUSY),
    ],
)
def test_http_errors(status: int, body: bytes, cause: Cause) -> None:
    failure = OLLAMA.failure(status, {"retry-after": "2"}, body, ask(), TO)
    assert failure.cause is cause
    assert "canary" not in failure.message
