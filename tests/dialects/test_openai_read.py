"""Each vendor's quirk, in a stream of our own making (wire-format.md, section 4)."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.dialects.openai import OpenAI
from riverrun.dialects.openai_read import OpenAIReader
from riverrun.dialects.rows import ROWS, Row
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import (
    Delta,
    Finish,
    Open,
    Reasoning,
    Text,
    ToolArgs,
    ToolOpen,
    Usage,
)
from riverrun.wire.sse import Event
from tests.dialects.asks import ask, chunk, engine, read, reader, said, target

DONE = b"[DONE]"
STOP = chunk(finish="stop")


def broken(*events: bytes | Event) -> Failure:
    with pytest.raises(Failure) as caught:
        read(list(events))
    return caught.value


def test_text_is_the_literal_that_came() -> None:
    raw = b'{"model":"m-1","choices":[{"index":0,"delta":{"content":  "a\\u00e9\\n\\/\xc3\xa9"}}]}'
    assert read([raw, STOP, DONE]) == [Open(0, "m-1"), Text(0, b'"a\\u00e9\\n\\/\xc3\xa9"'), Finish(0, "stop")]


def test_null_and_empty_texts_say_nothing() -> None:
    assert said({"content": None}, {"content": ""}, {"role": "assistant", "refusal": None}, {}, None) == []


def test_who_answers_is_in_the_first_chunk_with_a_choice() -> None:
    azure = b'{"id":"","model":"","object":"","choices":[],"prompt_filter_results":[]}'
    first = chunk({"content": "x"}, model="gpt", system_fingerprint="fp_1", service_tier="default")
    assert read([azure, first, STOP, DONE])[0] == Open(0, "gpt", "fp_1", "default")
    assert read([first, STOP, DONE], engine())[0] == Open(0, None, None, "default")


def test_tool_calls_as_the_api_sends_them() -> None:
    fragments = [
        {"tool_calls": [{"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a'}}]},
        {"tool_calls": [{"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": '":1}'}}]},
        {"tool_calls": [{"index": 1, "id": "c1", "function": {"name": "g", "arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "f", "arguments": " "}}]},
    ]
    assert said(*fragments) == [
        ToolOpen(0, 0, "c0", "f"),
        ToolArgs(0, 0, b'"{\\"a"'),
        ToolArgs(0, 0, b'"\\":1}"'),
        ToolOpen(0, 1, "c1", "g"),
        ToolArgs(0, 1, b'"{}"'),
        ToolArgs(0, 0, b'" "'),
    ]


def test_the_old_function_call() -> None:
    events = [
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk(finish="function_call"),
        DONE,
    ]
    opened, args, finish = read(events)[1:]
    assert isinstance(opened, ToolOpen)
    assert (opened.name, args, finish) == ("f", ToolArgs(0, 0, b'"{}"'), Finish(0, "function_call"))


@pytest.mark.parametrize(
    "place",
    [
        {"usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        {"x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}},
    ],
    ids=["usage", "x_groq"],
)
def test_usage_on_the_finish_chunk(place: dict[str, Any]) -> None:
    assert read([chunk(finish="stop", **place), DONE])[-2:] == [Finish(0, "stop"), Usage(1, 2)]


def test_usage_in_every_chunk_is_passed_on_and_the_last_one_is_true() -> None:
    events = [chunk({"content": "x"}, usage={"prompt_tokens": 1, "completion_tokens": n}) for n in (1, 2)]
    assert [each for each in read([*events, STOP, DONE]) if isinstance(each, Usage)] == [Usage(1, 1), Usage(1, 2)]


def test_a_second_finish_with_an_empty_delta_is_the_same_one() -> None:
    again = chunk(
        {"role": "assistant", "content": ""}, finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 2}
    )
    assert read([STOP, again, DONE]) == [Open(0, "m-1"), Finish(0, "stop"), Usage(1, 2)]


def test_vendor_words_for_an_ending() -> None:
    assert read([chunk(finish="model_length"), DONE])[-1] == Finish(0, "length")
    assert broken(chunk(finish="error")).cause is Cause.UPSTREAM_ERROR
    assert broken(chunk(finish="whatever")).cause is Cause.UPSTREAM_MALFORMED


def test_choices_are_ours_by_the_asks_map() -> None:
    events = [chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk(finish="stop", index=1), STOP, DONE]
    one = ask(n=5, choices=(4, 2))
    assert [each.choice for each in read(events, one=one) if not isinstance(each, Usage)] == [4, 2, 4, 2, 4]
    assert broken(chunk({"content": "x"}, index=1)).cause is Cause.UPSTREAM_MALFORMED
    assert broken(chunk({"content": "x"}, index=-1)).cause is Cause.UPSTREAM_MALFORMED


def test_logprobs_come_with_the_text_and_only_when_asked_for() -> None:
    token = {
        "id": 5,
        "token": "x",
        "logprob": -1.0,
        "bytes": [120],
        "top_logprobs": [{"token": "x", "logprob": -1, "bytes": [120]}],
    }
    choice = {"index": 0, "delta": {"content": "x"}, "logprobs": {"content": [token]}}
    event = json.dumps({"model": "m-1", "choices": [choice]}).encode()
    assert read([event, STOP, DONE])[1] == Text(0, b'"x"')
    trimmed = b'[{"token":"x","logprob":-1.0,"bytes":[120],"top_logprobs":[]}]'
    assert read([event, STOP, DONE], one=ask(logprobs=True))[1] == Text(0, b'"x"', trimmed)


def test_tokens_without_text_are_kept() -> None:
    choice = {"index": 0, "delta": {}, "logprobs": {"content": [{"token": "\\xf0", "logprob": -1, "bytes": [240]}]}}
    text = read([json.dumps({"choices": [choice]}).encode(), STOP, DONE], one=ask(logprobs=True))[1]
    for nothing in ({"delta": None}, {}):
        choice = {"index": 0, **nothing, "logprobs": choice["logprobs"]}
        assert len(read([json.dumps({"choices": [choice]}).encode(), STOP, DONE], one=ask(logprobs=True))) == 2
    assert isinstance(text, Text)
    assert (text.literal, text.logprobs is not None) == (b'""', True)


@pytest.mark.parametrize("data", [b"", b"  ", b"\n"])
def test_an_event_without_data_is_nothing(data: bytes) -> None:
    assert read([data, STOP, data, DONE])[-1] == Finish(0, "stop")


def test_what_comes_after_the_end_is_ignored() -> None:
    reads = reader()
    assert [reads.done, reads.read(Event(STOP)), reads.done][2] is False
    reads.read(Event(b" [DONE] "))
    assert reads.done
    assert reads.read(Event(b"garbage")) == []
    assert reads.read(Event(b'{"error":"late"}')) == []


@pytest.mark.parametrize(
    "data",
    [
        b"garbage",
        b"[1]",
        b"{",
        b'{"choices":5}',
        b'{"choices":[{"index":0,"delta":{"content":5}}]}',
        b'{"choices":[{"index":0,"delta":{"content":{"a":1}}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\xed\xa0\xbd"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":[{"text":5}]}}]}',
        b'{"choices":[{"index":0,"delta":{"content":[5]}}]}',
        b'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"\xff"}}]}}]}',
        b'{"choices":[{"index":0,"delta":{"annotations":5}}]}',
        b'{"choices":[{"index":0,"delta":{"audio":{"data":"\xff"}}}]}',
        b'{"choices":' + b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
    ],
)
def test_a_malformed_event_is_a_failure_of_the_upstream(data: bytes) -> None:
    failure = broken(data, STOP, DONE)
    assert failure.cause is Cause.UPSTREAM_MALFORMED
    assert broken(chunk({"content": "x"}), data).cause is Cause.UPSTREAM_MALFORMED


@pytest.mark.parametrize("error", ["null", "false", '""', "{}"])
def test_an_error_key_that_says_nothing_is_no_error(error: str) -> None:
    event = b'{"model":"m-1","error":%b,"choices":[{"index":0,"delta":{"content":"x"}}]}' % error.encode()
    assert Text(0, b'"x"') in read([event, STOP, DONE])


def test_an_error_inside_the_stream() -> None:
    groq = Event(b'{"error":{"message":"x","status_code":429}}', b"error")
    assert broken(chunk({"content": "x"}), groq).cause is Cause.UPSTREAM_BUSY
    bare = Event(b'{"message":"x","code":503}', b"error")
    assert broken(bare).cause is Cause.UPSTREAM_ERROR
    both = chunk({"content": ""}, finish="error", error={"message": "x", "code": 502})
    assert broken(chunk({"content": "x"}), both).cause is Cause.UPSTREAM_ERROR


def test_the_end_without_a_finish_reason_is_a_cut() -> None:
    for events in ([], [chunk({"content": "x"})], [chunk({"content": "x"}), DONE]):
        assert broken(*events).cause is Cause.UPSTREAM_INTERRUPTED
    assert read([STOP])[-1] == Finish(0, "stop")  # [DONE] itself may be missing


def test_a_row_may_let_the_terminator_finish_what_is_open() -> None:
    row = Row(finish="implied")
    reads = OpenAI({"r": row}).reader(ask(), target("r"))
    reads.read(Event(chunk({"content": "x"})))
    assert reads.read(Event(DONE)) == [Finish(0, "stop")]
    assert reads.done
    cut = OpenAI({"r": row}).reader(ask(), target("r"))
    cut.read(Event(chunk({"content": "x"})))
    with pytest.raises(Failure):
        cut.finish()
    assert ROWS["snowflake"].finish == "implied"


def test_a_pair_that_was_split_over_two_events() -> None:
    high, low = (b'{"choices":[{"index":0,"delta":{"content":"%b"}}]}' % half for half in (b"a\\ud83d", b"\\ude00b"))
    deltas = read([high, low, STOP, DONE])
    assert deltas[1:3] == [Text(0, b'"a"'), Text(0, '"😀b"'.encode())]
    assert broken(high, chunk({"content": "x"})).cause is Cause.UPSTREAM_MALFORMED
    assert broken(high, STOP).cause is Cause.UPSTREAM_MALFORMED
    assert broken(low).cause is Cause.UPSTREAM_MALFORMED
    assert broken(STOP, high).cause is Cause.UPSTREAM_MALFORMED


def test_an_answer_that_came_whole() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    message = {"role": "assistant", "content": "x", "reasoning_content": "hm", "tool_calls": [call]}
    body = {
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    reads = reader()
    assert reads.whole(json.dumps(body).encode()) == [
        Open(0, "m-1"),
        Reasoning(0, b'"hm"'),
        Text(0, b'"x"'),
        ToolOpen(0, 0, "c", "f"),
        ToolArgs(0, 0, b'"{\\"a\\": 1}"'),
        Finish(0, "tool_calls"),
        Usage(1, 2),
    ]
    assert reads.done


@pytest.mark.parametrize(
    ("body", "cause"),
    [(b"<html>", Cause.UPSTREAM_MALFORMED), (b"{}", Cause.UPSTREAM_INTERRUPTED), (b"", Cause.UPSTREAM_MALFORMED)],
)
def test_a_whole_answer_that_is_none(body: bytes, cause: Cause) -> None:
    with pytest.raises(Failure) as caught:
        reader().whole(body)
    assert caught.value.cause is cause


def test_the_engines_tokens_spell_its_text_also_where_it_leaves_a_fence_out() -> None:
    def logprobs(text: str) -> dict[str, Any]:
        return {"content": [{"token": text, "logprob": -1, "bytes": list(text.encode()), "top_logprobs": []}]}

    events = []
    for content, token in ((None, "```"), ("{", "\n{"), ("}", "}")):
        choice = {"index": 0, "delta": {"content": content}, "finish_reason": None, "logprobs": logprobs(token)}
        events.append(json.dumps({"model": "m", "choices": [choice]}).encode())
    deltas = read([*events, STOP, DONE], engine(), ask(logprobs=True))
    texts = [each for each in deltas if isinstance(each, Text)]
    assert [json.loads(each.literal) for each in texts] == ["{", "}"]
    assert [json.loads(each.logprobs or b"")[0]["bytes"] for each in texts] == [[123], [125]]


TEXTS = st.sampled_from([None, "", "a", "\u00e9", "\n", "[x]", ["a"], 5])
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": TEXTS,
        "reasoning_content": TEXTS,
        "reasoning": TEXTS,
        "refusal": TEXTS,
        "tool_calls": st.sampled_from([None, [], [{"index": 0, "id": "a", "function": {"name": "f"}}]]),
        "annotations": st.sampled_from([None, [], [{"type": "url_citation"}]]),
        "audio": st.sampled_from([None, {}, {"data": "AA"}]),
    },
)
CHOICE = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 1, 2, -1])},
    optional={"delta": MEMBERS | st.none(), "finish_reason": st.sampled_from([None, "", "stop", "nonsense"])},
)
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICE, max_size=2) | st.none(),
        "usage": st.sampled_from([None, {}, {"prompt_tokens": 1, "completion_tokens": 2}]),
        "error": st.sampled_from([None, {}, {"message": "no"}]),
    },
)
RAW = st.sampled_from(
    [DONE, b"", b"{", b'{"choices":[{"delta":{"content":"\xff"}}]}', b'{"choices":[{"delta":{"content":"\\ud83d"}}]}']
)


@given(st.lists(EVENT.map(lambda event: json.dumps(event, ensure_ascii=False).encode()) | RAW, max_size=6))
def test_what_is_read_at_once_and_what_in_the_general_way_is_the_same(events: list[bytes]) -> None:
    """Where tokens are asked for, no text is read at once."""
    asks = [ask(choices=(0, 1)), ask(choices=(0, 1), logprobs=True)]
    ways = [OpenAIReader(each, target(), ROWS["compatible"]) for each in asks]
    for data in [chunk({"role": "assistant"}), *events]:
        heard = [_heard(way, Event(data)) for way in ways]
        assert heard[0] == heard[1]


def _heard(way: OpenAIReader, event: Event) -> list[Delta] | str:
    try:
        return way.read(event)
    except Failure as failure:
        return failure.message


def test_nor_is_any_mixture_of_text_and_thoughts_read_differently() -> None:
    said: list[dict[str, Any]] = [{}, {"x": None}, {"x": ""}, {"x": "a"}, {"x": "\u00e9"}]
    names = ("content", "reasoning_content", "reasoning", "refusal")
    for mixture in product(said, said, said, said[:4]):
        delta = {name: each["x"] for name, each in zip(names, mixture, strict=True) if each}
        event = chunk(delta)
        ways = [reader(), reader(one=ask(logprobs=True))]
        assert ways[0].read(Event(event)) == ways[1].read(Event(event)), delta
