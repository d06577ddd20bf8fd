"""What every language's streams must survive: any split, any truncation, and our own checker behind the assembler."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from riverrun.conformance import Capture, failures, judge
from riverrun.dialects.contract import Dialect
from riverrun.dialects.rows import ROWS
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.deltas import Annotation, Delta, Reasoning, Signature, Text, ToolArgs, ToolOpen
from riverrun.wire import ndjson, sse
from riverrun.wire.chunk import Identity
from riverrun.wire.sse import Event
from tests.dialects.asks import ask

SPLITS = 200
SHORT = 4096
"""Bytes up to which every split in two is tried."""


def at(row: str, model: str = "theirs", **known: Any) -> Target:
    return Target(name="shown", model=model, base_url="http://x.test", row=row, dialect=ROWS[row].dialect, **known)


def asked(dialect: Dialect, to: Target, one: Ask | None = None, **body: Any) -> dict[str, Any]:
    """The request that is sent."""
    sent: dict[str, Any] = json.loads(dialect.encode(one or ask(**body), to).body)
    return sent


def dropped(dialect: Dialect, to: Target, **body: Any) -> tuple[str, ...]:
    return dialect.encode(ask(**body), to).dropped


def refused(dialect: Dialect, to: Target, **body: Any) -> str | None:
    """The parameter that a 400 names."""
    with pytest.raises(Failure) as caught:
        dialect.encode(ask(**body), to)
    assert caught.value.status == 400
    return caught.value.param


def framer(dialect: Dialect) -> sse.Decoder | ndjson.Decoder:
    return ndjson.Decoder() if dialect.framing == "ndjson" else sse.Decoder()


def heard(dialect: Dialect, to: Target, pieces: list[bytes], one: Ask | None = None) -> list[Delta]:
    """The deltas of a stream that came in these pieces and ended. Raises Failure where it is not complete."""
    decoder, reader, deltas = framer(dialect), dialect.reader(one or ask(), to), list[Delta]()
    for piece in pieces:
        for event in decoder.feed(piece):
            deltas += reader.read(event)
    return deltas + reader.finish()


def survives_splits(dialect: Dialect, to: Target, stream: bytes, one: Ask | None = None) -> None:
    """One byte at a time, every split in two of a short stream, seeded ones of a longer one: the same deltas."""
    whole = heard(dialect, to, [stream], one)
    assert heard(dialect, to, [stream[at : at + 1] for at in range(len(stream))], one) == whole
    random = Random(len(stream))
    cuts = range(len(stream)) if len(stream) <= SHORT else [random.randrange(len(stream)) for _ in range(SPLITS)]
    events = framer(dialect).feed(stream)
    for cut in cuts:
        decoder = framer(dialect)
        assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) == events


def looks_finished(dialect: Dialect, to: Target, stream: bytes, one: Ask | None = None) -> bool:
    """Whether a body that ends here passes for a whole answer."""
    decoder, reader = framer(dialect), dialect.reader(one or ask(), to)
    try:
        for event in decoder.feed(stream):
            reader.read(event)
        if reader.done:
            return True
        reader.finish()
    except Failure:
        return False
    return not decoder.partial


def never_looks_finished(dialect: Dialect, to: Target, stream: bytes, last: bytes, one: Ask | None = None) -> None:
    """Cut after each event, and at each byte of three of them: only what holds the event with `last` is whole."""
    events = framer(dialect).feed(stream)
    ends = next(number for number, event in enumerate(events) if last in event.data)
    assert looks_finished(dialect, to, stream, one)
    for cut in sorted(cuts(dialect, stream, events)):
        whole = len(framer(dialect).feed(stream[:cut])) > ends
        assert whole or not looks_finished(dialect, to, stream[:cut], one)


def cuts(dialect: Dialect, stream: bytes, events: list[Event]) -> set[int]:
    """After each event; and every byte of the last one, of one with arguments, and of one that is not ASCII."""
    places = [stream.index(event.data) for event in events]
    ends = {start + len(event.data) for start, event in zip(places, events, strict=True)}
    inside = [len(events) - 1]
    inside += [number for number, event in enumerate(events) if b"arg" in event.data][:1]
    inside += [number for number, event in enumerate(events) if not event.data.isascii()][:1]
    return ends | {places[n] + byte for n in inside for byte in range(len(events[n].data))}


def judged(deltas: list[Delta], one: Ask | None = None) -> list[str]:
    """What our checker finds in the stream that these deltas become."""
    asked = one or ask()
    plan = Plan(n=len(asked.choices), include_usage=True, logprobs=bool(asked.chat.request.logprobs))
    assembler = Assembler(Identity("chatcmpl-1", 1, "shown"), plan)
    payloads = assembler.push(deltas) + assembler.finish()
    body = {**asked.chat.body, "stream": True, "stream_options": {"include_usage": True}}
    capture = Capture(
        request=json.dumps(body).encode(),
        headers=(("content-type", "text/event-stream; charset=utf-8"),),
        blocks=((0.1, b"".join(b"data: %b\n\n" % payload for payload in payloads)),),
        ended="complete",
    )
    return [f"{one.rule.id}: {one.note}" for one in failures(judge(capture))]


def text(deltas: list[Delta], kind: type[Text] | type[Reasoning] = Text) -> str:
    return "".join(json.loads(each.literal) for each in deltas if isinstance(each, kind))


def called(deltas: list[Delta]) -> list[tuple[str, str]]:
    """The names and the arguments of the calls."""
    found: dict[int, tuple[str, str]] = {}
    for each in deltas:
        if isinstance(each, ToolOpen):
            found[each.call] = (each.name, "")
        elif isinstance(each, ToolArgs):
            name, arguments = found[each.call]
            found[each.call] = (name, arguments + json.loads(each.literal))
    return list(found.values())


def beside(deltas: list[Delta], kind: type[Annotation] | type[Signature]) -> list[Any]:
    return [json.loads(each.value) for each in deltas if isinstance(each, kind)]
