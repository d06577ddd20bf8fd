"""Events and answers of the Responses API, and how the tests read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from riverrun.dialects.contract import Reader
from riverrun.dialects.responses import Responses
from riverrun.failures import Failure
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.wire.sse import Decoder, Event
from tests.dialects.asks import ask, target

Json = dict[str, Any]

TO = target("responses")
USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}


def sent(one: Ask) -> Json:
    body: Json = json.loads(Responses().encode(one, TO).body)
    return body


def refused(one: Ask) -> Failure:
    try:
        Responses().encode(one, TO)
    except Failure as failure:
        return failure
    raise AssertionError("it was not refused")


def answer(status: str = "completed", **fields: Any) -> Json:
    return {"id": "resp_1", "object": "response", "status": status, "model": "gpt-5-1", "error": None, **fields}


def created() -> Json:
    return {"type": "response.created", "response": answer("in_progress", service_tier="auto", usage=None)}


def ended(status: str = "completed", **fields: Any) -> Json:
    return {"type": f"response.{status}", "response": answer(status, usage=USAGE, **fields)}


def text(delta: str, **more: Any) -> Json:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": delta, **more}


def item(kind: str, place: int, when: str = "added", **fields: Any) -> Json:
    return {"type": f"response.output_item.{when}", "output_index": place, "item": {"type": kind, **fields}}


def call(place: int, name: str = "f", arguments: str = "", when: str = "added") -> Json:
    return item("function_call", place, when, id=f"fc_{place}", call_id=f"call_{place}", name=name, arguments=arguments)


def arguments(place: int, delta: str) -> Json:
    return {"type": "response.function_call_arguments.delta", "output_index": place, "delta": delta}


def body_of(events: Iterable[Json]) -> bytes:
    """A stream as the API sends it: named events with sequence numbers and padding."""
    numbered = ({**each, "sequence_number": number, "obfuscation": "xyz"} for number, each in enumerate(events))
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (each["type"].encode(), json.dumps(each, ensure_ascii=False).encode())
        for each in numbered
    )


def reader(one: Ask | None = None) -> Reader:
    return Responses().reader(one or ask(), TO)


def read(events: Iterable[Json], one: Ask | None = None) -> list[Delta]:
    """All deltas of a stream, to its end."""
    body = body_of(events)
    return read_bytes(body, [len(body)], one)


def read_bytes(body: bytes, sizes: Sequence[int], one: Ask | None = None) -> list[Delta]:
    """All deltas of a stream's bytes, which arrive in blocks of these sizes (over and over)."""
    reads, deltas = reader(one), list[Delta]()
    for event in events_of(body, sizes):
        deltas += reads.read(event)
    return deltas + reads.finish()


def events_of(body: bytes, sizes: Sequence[int]) -> Iterable[Event]:
    decoder, at, turn = Decoder(), 0, 0
    while at < len(body):
        yield from decoder.feed(body[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
