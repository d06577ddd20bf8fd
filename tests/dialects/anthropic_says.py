"""Events of the Messages API, and how the tests read and write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from riverrun.dialects.anthropic import Anthropic
from riverrun.dialects.contract import Outgoing, Reader
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.wire.sse import Event
from tests.dialects.asks import ask

OLD, NEW = "claude-sonnet-4-0", "claude-opus-5"


def claude(model: str = "claude-sonnet-4-5") -> Target:
    return Target(name="shown", model=model, base_url="http://upstream.test", row="anthropic", dialect="anthropic")


def outgoing(one: Ask, to: Target | None = None) -> Outgoing:
    return Anthropic().encode(one, to or claude())


def sent(one: Ask, to: Target | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(outgoing(one, to).body)
    return body


def refused(one: Ask, to: Target | None = None) -> Failure:
    try:
        outgoing(one, to)
    except Failure as failure:
        return failure
    raise AssertionError("it was not refused")


def start(model: str = "claude-1", **usage: int) -> dict[str, Any]:
    counts = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 1}
    return {"type": "message_start", "message": {"model": model, "content": [], "usage": counts | usage}}


def begin(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def more(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ending(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9, **usage}}


END: dict[str, Any] = {"type": "message_stop"}
PING: dict[str, Any] = {"type": "ping"}


def event(value: dict[str, Any]) -> Event:
    return Event(json.dumps(value, ensure_ascii=False).encode(), str(value["type"]).encode())


def reader(to: Target | None = None, one: Ask | None = None) -> Reader:
    return Anthropic().reader(one or ask(), to or claude())


def read(events: Iterable[dict[str, Any]], to: Target | None = None, one: Ask | None = None) -> list[Delta]:
    """All deltas of a stream, to its end."""
    reads = reader(to, one)
    deltas = [delta for each in events for delta in reads.read(event(each))]
    deltas += reads.finish()
    assert reads.done
    return deltas


def body_of(events: Iterable[dict[str, Any]]) -> bytes:
    """The bytes of a stream."""
    return b"".join(b"event: %b\ndata: %b\n\n" % (each.name, each.data) for each in map(event, events))


OWN = body_of(
    [
        start(),
        PING,
        begin(0, "thinking", thinking="", signature=""),
        more(0, "thinking_delta", thinking="hm…"),
        more(0, "signature_delta", signature="c2ln"),
        stop(0),
        begin(1, "redacted_thinking", data="eHg="),
        stop(1),
        begin(2, "text", text=""),
        more(2, "text_delta", text="Grüße, 世界 🌍"),
        stop(2),
        begin(3, "server_tool_use", id="srv_1", name="web_search", input={}),
        more(3, "input_json_delta", partial_json='{"query":"x"}'),
        stop(3),
        begin(4, "web_search_tool_result", tool_use_id="srv_1", content=[]),
        stop(4),
        begin(5, "tool_use", id="toolu_1", name="f", input={}),
        more(5, "input_json_delta", partial_json=""),
        more(5, "input_json_delta", partial_json='{"wo":'),
        more(5, "input_json_delta", partial_json='"Zürich 🌊"}'),
        stop(5),
        begin(6, "tool_use", id="toolu_2", name="g", input={}),
        stop(6),
        ending("tool_use"),
        END,
    ]
)
"""Every kind of event that says something, with characters of two, three and four bytes."""
