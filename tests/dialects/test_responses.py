"""The dialect on streams as they were recorded, and on our own: every split, every cut, and what the client gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.dialects.responses import Responses
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Reasoning, Text, ToolArgs, ToolOpen, Usage
from riverrun.wire.fold import fold
from tests.dialects.asks import HELLO, ask
from tests.dialects.assembled import faults, payloads
from tests.dialects.responding import (
    TO,
    Json,
    arguments,
    body_of,
    call,
    created,
    ended,
    events_of,
    item,
    read_bytes,
    reader,
    text,
)

RECORDINGS = Path(__file__).parents[2] / "../shared/recordings/responses"
STREAMS = sorted(RECORDINGS.glob("*.stream.json"))
WHOLE = sorted(RECORDINGS.glob("*.json.json"))

recorded = pytest.mark.skipif(not STREAMS, reason="the recordings are not here")

OWN = body_of(
    [
        created(),
        item("reasoning", 0, id="rs_1", encrypted_content="z"),
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "hm…"},
        item("reasoning", 0, "done", id="rs_1", encrypted_content="zz"),
        text("Grüße, 世界 🌍"),
        call(2),
        arguments(2, '{"wo":'),
        arguments(2, '"Zürich"}'),
        call(2, arguments='{"wo":"Zürich"}', when="done"),
        ended(),
    ]
)
"""Every kind of event that says something, with characters of two, three and four bytes."""


def recording(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


def stream(path: Path) -> bytes:
    body: str = recording(path)["body"]
    return body.encode()


def response_of(body: bytes) -> Json:
    """The response object in a stream's last event."""
    events = list(events_of(body, [len(body)]))
    last: Json = json.loads(events[-1].data)["response"]
    return last


def expected(response: Json) -> tuple[str, list[tuple[str, str]]]:
    """The text and the calls of a response, read by the standard library."""
    messages = [each for each in response["output"] if each["type"] == "message"]
    said = "".join(part.get("text", "") for message in messages for part in message["content"])
    calls = [each for each in response["output"] if each["type"] == "function_call"]
    return said, [(each["name"], each["arguments"]) for each in calls]


def understood(deltas: list[Delta]) -> tuple[str, list[tuple[str, str]]]:
    said = "".join(json.loads(each.literal) for each in deltas if isinstance(each, Text))
    calls = [
        (
            opened.name,
            "".join(
                json.loads(each.literal) for each in deltas if isinstance(each, ToolArgs) and each.call == opened.call
            ),
        )
        for opened in deltas
        if isinstance(opened, ToolOpen)
    ]
    return said, calls


def never_looks_finished(body: bytes, upto: int) -> None:
    """A stream that ends after `upto` of its bytes is a cut, and says so."""
    reads = reader()
    for event in events_of(body[:upto], [10_000]):
        reads.read(event)
    assert not reads.done
    with pytest.raises(Failure) as caught:
        reads.finish()
    assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


def ends(body: bytes) -> list[int]:
    """Where each event of a body ends."""
    return [at + 2 for at in range(len(body)) if body[at : at + 2] == b"\n\n"]


@recorded
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[:80])
def test_a_recorded_stream_says_what_it_says(path: Path) -> None:
    body = stream(path)
    deltas = read_bytes(body, [len(body)])
    assert understood(deltas) == expected(response_of(body))
    assert [each.choice for each in deltas if isinstance(each, Finish)] == [0]
    assert any(isinstance(each, Usage) for each in deltas)


@recorded
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[:80])
def test_what_the_client_gets_of_a_recorded_stream_is_a_stream_of_the_api(path: Path) -> None:
    body = stream(path)
    events = payloads(read_bytes(body, [len(body)]))
    assert faults(events) == []
    message = fold(events).choices[0].message
    said, calls = expected(response_of(body))
    assert (message.content or "") == said
    assert [(each.function.name, each.function.arguments) for each in message.tool_calls or ()] == calls


@recorded
@settings(max_examples=30, deadline=None)
@given(path=st.sampled_from(STREAMS or [Path()]), sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_a_recorded_stream_says_the_same_however_it_is_split(path: Path, sizes: list[int]) -> None:
    body = stream(path)
    assert read_bytes(body, sizes) == read_bytes(body, [len(body)])


@recorded
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name[:80])
def test_a_recorded_stream_that_was_cut_never_looks_finished(path: Path) -> None:
    body = stream(path)
    reads = reader()
    for event in list(events_of(body, [len(body)]))[:-1]:
        reads.read(event)
        assert not reads.done
    never_looks_finished(body, ends(body)[-2])
    for upto in range(ends(body)[-2], len(body) - 1, 97):
        never_looks_finished(body, upto)


@recorded
@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name[:80])
def test_a_recorded_whole_answer(path: Path) -> None:
    record = recording(path)
    body = record["body"].encode()
    if record["status"] != 200:
        failure = Responses().failure(record["status"], {}, body, ask(), TO)
        assert failure.cause in (Cause.BAD_REQUEST, Cause.UNKNOWN_MODEL)
        return
    answer = json.loads(body)
    if answer["status"] != "completed":  # in the background, or written by hand
        with pytest.raises(Failure):
            reader().whole(body)
        return
    deltas = reader().whole(body)
    assert understood(deltas) == expected(answer)
    assert faults(payloads(deltas)) == []


def test_our_own_stream_in_two_pieces_wherever_it_is_cut() -> None:
    whole = read_bytes(OWN, [len(OWN)])
    assert [each for each in whole if isinstance(each, Reasoning)] == [Reasoning(0, '"hm…"'.encode())]
    assert understood(whole) == ("Grüße, 世界 🌍", [("f", '{"wo":"Zürich"}')])
    assert read_bytes(OWN, [1]) == whole
    assert all(read_bytes(OWN, [cut, len(OWN)]) == whole for cut in range(1, len(OWN), 7))


def test_our_own_stream_ended_after_any_of_its_bytes() -> None:
    """After each event, and at each byte within the one that ends it, one with arguments and one with wide letters."""
    last = ends(OWN)
    bounds = zip([0, *last], last, strict=False)
    inside = [at for before, end in bounds if chosen(OWN[before:end]) for at in range(before, end)]
    for upto in (*last[:-1], *inside):
        never_looks_finished(OWN, upto)
    assert faults(payloads(read_bytes(OWN, [len(OWN)]))) == []


def chosen(event: bytes) -> bool:
    return any(mark in event for mark in (b"response.completed", b"arguments.delta", "世界".encode()))


def test_a_thought_goes_out_sealed_and_comes_back_before_its_call() -> None:
    message = fold(payloads(read_bytes(OWN, [len(OWN)]))).choices[0].message
    said = {name: value for name, value in msgspec.to_builtins(message).items() if value}
    result = {"role": "tool", "tool_call_id": "call_2", "content": "hier"}
    out = json.loads(Responses().encode(ask(messages=[*HELLO, said, result]), TO).body)["input"]
    assert [each.get("type", each.get("role")) for each in out] == [
        "user", "reasoning", "assistant", "function_call", "function_call_output",
    ]  # fmt: skip
    assert out[1] == {"type": "reasoning", "id": "rs_1", "encrypted_content": "zz", "summary": []}
