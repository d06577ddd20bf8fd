"""The dialects keep the contract (checked by the type checker, and here by use)."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from riverrun.backends.content import FRAMERS
from riverrun.dialects.contract import Dialect, Reader
from riverrun.dialects.openai import OpenAI
from riverrun.dialects.responses import Responses
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Finish, Text
from riverrun.wire.fold import fold
from tests.dialects.asks import ask, engine
from tests.dialects.assembled import faults, payloads
from tests.dialects.languages import LANGUAGES, STREAMS, WHOLE, Language, Stream

DIALECTS: list[Dialect] = [OpenAI(), Responses()]

every_stream = pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)


def test_a_new_reader_is_not_done() -> None:
    for dialect in DIALECTS:
        reader: Reader = dialect.reader(ask(), engine())
        assert reader.done is False


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_a_language_has_a_framer_of_its_own(language: Language) -> None:
    assert language.dialect.framing in FRAMERS
    assert not language.dialect.reader(ask(), language.target).done


@every_stream
def test_a_stream_says_the_same_however_it_is_split(stream: Stream) -> None:
    body = stream.body
    whole = stream.read([body])
    assert stream.read(body[at : at + 1] for at in range(len(body))) == whole
    draw = random.Random(len(body))
    for _ in range(20):
        cuts = sorted(draw.randrange(len(body)) for _ in range(draw.randrange(1, 30)))
        assert stream.read(body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)) == whole
    assert len([each for each in whole if isinstance(each, Finish)]) == 1


@every_stream
def test_our_checker_finds_nothing_in_what_becomes_of_it(stream: Stream) -> None:
    deltas = stream.read([stream.body])
    events = payloads(deltas)
    assert faults(events) == []
    text = "".join(json.loads(each.literal) for each in deltas if isinstance(each, Text))
    assert (fold(events).choices[0].message.content or "") == text


def cut(stream: Stream, upto: int) -> None:
    """A stream that ends after `upto` bytes is a cut, and says so."""
    framer, reader = stream.framer(), stream.reader()
    for event in framer.feed(stream.body[:upto]):
        reader.read(event)
    assert not reader.done
    if not framer.partial:
        with pytest.raises(Failure) as caught:
            reader.finish()
        assert caught.value.cause is Cause.UPSTREAM_INTERRUPTED


def finished(stream: Stream) -> int:
    """How many events it takes until the answer has its reason to stop."""
    framer, reader = stream.framer(), stream.reader()
    events = framer.feed(stream.body)
    return next(at for at, event in enumerate(events) if any(isinstance(one, Finish) for one in reader.read(event)))


@every_stream
def test_no_truncation_looks_finished(stream: Stream) -> None:
    """After each event, and at each byte within the one that ends it, one of arguments and one of many-byte text."""
    ends = [0, *stream.ends()]
    last = finished(stream)
    for end in ends[: last + 1]:
        cut(stream, end)
    odd = [at for at in range(last) if not stream.body[ends[at] : ends[at + 1]].isascii()][:1]
    calls = [at for at in range(last) if b"oolUse" in stream.body[ends[at] : ends[at + 1]]][:1]
    calls += [at for at in range(last) if b"input_json" in stream.body[ends[at] : ends[at + 1]]][:1]
    for at in {last, *odd, *calls}:
        for end in range(ends[at], min(ends[at + 1], ends[at] + 1000)):
            cut(stream, end)


@pytest.mark.parametrize(("language", "path"), WHOLE, ids=lambda each: each.name[:70] if hasattr(each, "name") else "")
def test_a_recorded_whole_answer_is_read(language: Language, path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    body = record["body"].encode()
    if record["status"] != 200:
        failure = language.dialect.failure(record["status"], {}, body, ask(), language.target)
        assert failure.cause is Cause.BAD_REQUEST
        return
    reader = language.dialect.reader(ask(), language.target)
    if b'"UNEXPECTED_TOOL_CALL"' in body:  # Gemini: its model called what is no tool
        with pytest.raises(Failure) as caught:
            reader.whole(body)
        assert caught.value.cause is Cause.UPSTREAM_ERROR
        return
    events = payloads(reader.whole(body))
    assert reader.done
    assert faults(events) == []
