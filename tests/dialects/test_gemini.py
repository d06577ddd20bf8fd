"""The dialect on answers as they were recorded at both houses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from riverrun.dialects.gemini import Gemini
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Usage
from riverrun.wire.sse import Decoder
from tests.dialects.asks import ask
from tests.dialects.speaking import at, called, heard, judged, never_looks_finished, survives_splits, text

RECORDINGS = Path(__file__).parents[2] / "../shared/recordings/gemini"
STREAMS = sorted(RECORDINGS.glob("*.stream.json"))
WHOLE = sorted(RECORDINGS.glob("*.json.json"))

recorded = pytest.mark.skipif(not STREAMS, reason="the recordings are not here")


def recording(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def expected(answers: list[dict[str, Any]]) -> tuple[str, list[tuple[str, Any]]]:
    """The text and the calls of an answer, read by the standard library."""
    words, calls = "", []
    for answer in answers:
        for candidate in answer.get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                words += "" if part.get("thought") else part.get("text", "")
                calls += (
                    [(part["functionCall"]["name"], part["functionCall"]["args"])] if "functionCall" in part else []
                )
    return words, calls


def said(deltas: list[Delta]) -> tuple[str, list[tuple[str, Any]]]:
    return text(deltas), [(name, json.loads(arguments or "{}")) for name, arguments in called(deltas)]


@recorded
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[:70])
def test_a_recorded_stream_says_what_it_says(path: Path) -> None:
    stream = recording(path)["body"].encode()
    events = Decoder().feed(stream)
    deltas = heard(Gemini(), at("gemini"), [stream])
    assert said(deltas) == expected([json.loads(event.data) for event in events])
    assert [each.choice for each in deltas if isinstance(each, Finish)] == [0]
    assert any(isinstance(each, Usage) for each in deltas)
    assert judged(deltas) == []
    survives_splits(Gemini(), at("gemini"), stream)
    never_looks_finished(Gemini(), at("gemini"), stream, b'"finishReason"')


@recorded
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name[:100])
def test_a_recorded_whole_answer_says_what_it_says(path: Path) -> None:
    record = recording(path)
    body = record["body"].encode()
    if record["status"] != 200:
        failure = Gemini().failure(record["status"], {}, body, ask(), at("gemini"))
        assert (failure.cause, failure.message) == (Cause.BAD_REQUEST, json.loads(body)["error"]["message"])
        return
    reader = Gemini().reader(ask(), at("gemini"))
    if "UNEXPECTED_TOOL_CALL" in record["body"]:
        with pytest.raises(Failure) as caught:
            reader.whole(body)
        assert caught.value.cause is Cause.UPSTREAM_ERROR
        return
    deltas = reader.whole(body)
    assert reader.done
    assert said(deltas) == expected([json.loads(body)])
    assert judged(deltas) == []
