"""Asks, targets and events for the tests of this room."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from riverrun.dialects.contract import Reader
from riverrun.dialects.openai import OpenAI
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta, Finish, Open
from riverrun.wire.request import parse_chat
from riverrun.wire.sse import Decoder, Event

HELLO = [{"role": "user", "content": "Hello"}]


def ask(*, choices: tuple[int, ...] = (0,), **body: Any) -> Ask:
    sent = {"model": "m", "messages": HELLO, **body}
    return Ask(parse_chat(json.dumps(sent).encode()), "chatcmpl-1", 1, "me", choices)


def target(row: str = "compatible", **known: Any) -> Target:
    return Target(name="shown", model="theirs", base_url="http://upstream.test", row=row, **known)


def engine(**known: Any) -> Target:
    return target("engine", **known)


def sent(one: Ask, to: Target) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(OpenAI().encode(one, to).body)
    return body


def refused(one: Ask, to: Target) -> Failure:
    try:
        OpenAI().encode(one, to)
    except Failure as failure:
        return failure
    raise AssertionError("it was not refused")


def chunk(delta: object = None, *, finish: str | None = None, index: int = 0, **top: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return json.dumps({"id": "x", "model": "m-1", "choices": [choice], **top}).encode()


def reader(to: Target | None = None, one: Ask | None = None) -> Reader:
    return OpenAI().reader(one or ask(), to or target())


def read(events: Sequence[bytes | Event], to: Target | None = None, one: Ask | None = None) -> list[Delta]:
    """All deltas of a stream, to its end."""
    reads = reader(to, one)
    deltas: list[Delta] = []
    for event in events:
        deltas += reads.read(event if isinstance(event, Event) else Event(event))
    deltas += reads.finish()
    assert reads.done
    return deltas


def read_bytes(body: bytes, sizes: list[int], to: Target | None = None, one: Ask | None = None) -> list[Delta]:
    """All deltas of a stream's bytes, which arrive in blocks of these sizes (over and over)."""
    decoder, reads, deltas, at, turn = Decoder(), reader(to, one), list[Delta](), 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        for event in decoder.feed(body[at : at + size]):
            deltas += reads.read(event)
        at, turn = at + size, turn + 1
    return deltas + reads.finish()


def said(*deltas: object) -> list[Delta]:
    """What these deltas of choice 0 mean, without the opening and the end."""
    events = [*(chunk(delta) for delta in deltas), chunk(finish="stop"), b"[DONE]"]
    return [each for each in read(events) if not isinstance(each, Open | Finish)]
