from __future__ import annotations

import json
from typing import Any

import pytest

from riverrun.dialects.gemini import Gemini
from riverrun.dialects.rows import ROWS
from riverrun.failures import Cause, Failure
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, Open, Reasoning, Signature, Text, ToolOpen
from riverrun.wire.sse import Event
from tests.dialects.asks import ask
from tests.dialects.gemini_says import CALL, OWN, event, stream
from tests.dialects.speaking import (
    at,
    beside,
    called,
    heard,
    judged,
    never_looks_finished,
    survives_splits,
    text,
)

GEMINI = Gemini()


def read(*events: dict[str, Any], one: Ask | None = None, row: str = "gemini") -> list[Delta]:
    return heard(GEMINI, at(row), [stream(*events)], one)


def test_an_answer_with_everything_in_it() -> None:
    deltas = heard(GEMINI, at("gemini"), [OWN])
    assert deltas[0] == Open(0, "gemini-x")
    assert (text(deltas, Reasoning), text(deltas)) == ("Let me see.", "Grüße 😀")
    assert called(deltas) == [("f", '{"city":"Zürich"}')]
    assert judged(deltas) == []


def test_the_same_however_it_is_split_and_never_finished_before_its_end() -> None:
    survives_splits(GEMINI, at("gemini"), OWN)
    never_looks_finished(GEMINI, at("gemini"), OWN, b'"finishReason"')


def test_it_is_done_when_the_body_has_ended() -> None:
    reader = GEMINI.reader(ask(), at("gemini"))
    reader.read(Event(json.dumps(event({"text": "x"}, finish="STOP")).encode()))
    assert not reader.done
    assert reader.finish() == []
    assert reader.done


@pytest.mark.parametrize(("row", "form"), [("gemini", "google-gemini-v1"), ("vertex", "google-vertex-v1")])
def test_a_signature_names_its_house_and_its_call(row: str, form: str) -> None:
    deltas = read(event(CALL), event({"text": "x", "thoughtSignature": "dA=="}, finish="STOP"), row=row)
    opened = next(each for each in deltas if isinstance(each, ToolOpen))
    assert beside(deltas, Signature) == [
        {"type": "reasoning.encrypted", "data": "c2ln", "format": form, "id": opened.id},
        {"type": "reasoning.encrypted", "data": "dA==", "format": form},
    ]


@pytest.mark.parametrize(("word", "reason"), ROWS["gemini"].finish_reasons.items())
def test_every_ending_means_what_the_table_says(word: str, reason: str) -> None:
    if reason == "error":
        with pytest.raises(Failure) as caught:
            read(event({"text": "x"}, finish=word))
        assert caught.value.cause is Cause.UPSTREAM_ERROR
    else:
        assert read(event({"text": "x"}, finish=word))[-1] == Finish(0, reason)  # type: ignore[arg-type]


def test_an_ending_that_nobody_knows_is_no_ending() -> None:
    with pytest.raises(Failure) as caught:
        read(event({"text": "x"}, finish="NEWLY_INVENTED"))
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


def test_a_blocked_prompt_is_an_empty_answer_that_the_filter_ended() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    one = ask(choices=(0, 1), n=2)
    deltas = read(blocked, one=one)
    assert [each for each in deltas if isinstance(each, Finish)] == [
        Finish(0, "content_filter"), Finish(1, "content_filter"),
    ]  # fmt: skip
    assert judged(deltas, one) == []


def test_several_candidates() -> None:
    one = ask(choices=(0, 1), n=2)
    deltas = read(event({"text": "a"}), event({"text": "b"}, index=1, finish="STOP"), event(finish="STOP"), one=one)
    assert [(each.choice, each.literal) for each in deltas if isinstance(each, Text)] == [(0, b'"a"'), (1, b'"b"')]
    assert judged(deltas, one) == []
    with pytest.raises(Failure, match="choice 1 has no finish_reason"):
        read(event({"text": "a"}, finish="STOP"), one=one)
    with pytest.raises(Failure, match="candidate 2"):
        read(event({"text": "a"}, index=2), one=one)


def test_probabilities_stand_with_their_text_when_they_are_asked_for() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5, "tokenId": 1}],
        "topCandidates": [
            {"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -2}]}
        ],
    }
    told = event({"text": "a"}, finish="STOP")
    told["candidates"][0]["logprobsResult"] = result
    one = ask(logprobs=True, top_logprobs=1)
    found = next(each for each in read(told, one=one) if isinstance(each, Text)).logprobs
    assert found is not None
    top = {"token": "a", "logprob": -0.5, "bytes": [97]}
    assert json.loads(found) == [{**top, "top_logprobs": [top]}]
    assert judged(read(told, one=one), one) == []
    assert next(each for each in read(told) if isinstance(each, Text)).logprobs is None


def test_a_call_in_pieces_must_end_before_the_answer_does() -> None:
    begun = {"functionCall": {"name": "f", "willContinue": True}}
    with pytest.raises(Failure, match="middle of a function call"):
        read(event(begun), event(finish="STOP"))
    assert read(event(begun), event(finish="MAX_TOKENS"))[-1] == Finish(0, "length")


def test_an_error_inside_a_stream() -> None:
    with pytest.raises(Failure) as caught:
        read(event({"text": "x"}), {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}})
    assert caught.value.cause is Cause.UPSTREAM_BUSY


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b'{"candidates":3}',
        b'{"candidates":[{"content":{"parts":[{"text":5}]}}]}',
        b'{"a":"\xff"',
        b"[" * 9999,
    ],
)
def test_what_is_no_response_is_malformed(data: bytes) -> None:
    with pytest.raises(Failure) as caught:
        GEMINI.reader(ask(), at("gemini")).read(Event(data))
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


@pytest.mark.parametrize(
    "counts", [{"promptTokenCount": "three"}, {"promptTokensDetails": 3}, {"promptTokensDetails": None}]
)
def test_counts_that_are_none_are_malformed(counts: dict[str, Any]) -> None:
    with pytest.raises(Failure) as caught:
        read(event({"text": "x"}, usageMetadata=counts))
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED


def test_an_event_of_blanks_says_nothing() -> None:
    assert GEMINI.reader(ask(), at("gemini")).read(Event(b"  ")) == []


def test_bytes_that_are_no_utf8_are_malformed() -> None:
    data = b'{"candidates":[{"content":{"parts":[{"text":"\xff"}]}}]}'
    with pytest.raises(Failure):
        GEMINI.reader(ask(), at("gemini")).read(Event(data))


def test_a_picture_is_not_lost_in_silence() -> None:
    with pytest.raises(Failure, match="picture"):
        read(event({"inlineData": {"mimeType": "image/png", "data": "AA"}}, finish="STOP"))


def test_a_whole_answer_and_a_list_of_them() -> None:
    first, last = event({"text": "a"}), event({"text": "b"}, finish="STOP")
    assert text(GEMINI.reader(ask(), at("gemini")).whole(json.dumps(last, indent=1).encode())) == "b"
    assert text(GEMINI.reader(ask(), at("gemini")).whole(json.dumps([first, last]).encode())) == "ab"
    with pytest.raises(Failure) as caught:
        GEMINI.reader(ask(), at("gemini")).whole(json.dumps(first).encode())
    assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED
