"""Events of ConverseStream, and how the tests read and write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from riverrun.dialects.bedrock import Bedrock
from riverrun.dialects.contract import Outgoing, Reader
from riverrun.failures import Failure
from riverrun.routing.target import Target
from riverrun.stream.ask import Ask
from riverrun.stream.deltas import Delta
from riverrun.wire.sse import Event
from tests.dialects.asks import ask
from tests.wire.frames import frame

Said = tuple[str, dict[str, Any]]

CLAUDE, NOVA = "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.amazon.nova-lite-v1:0"


def hosted(model: str = CLAUDE) -> Target:
    return Target(name="shown", model=model, base_url="http://upstream.test", row="bedrock", dialect="bedrock")


def outgoing(one: Ask, to: Target | None = None) -> Outgoing:
    return Bedrock().encode(one, to or hosted())


def sent(one: Ask, to: Target | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(outgoing(one, to).body)
    return body


def refused(one: Ask, to: Target | None = None) -> Failure:
    try:
        outgoing(one, to)
    except Failure as failure:
        return failure
    raise AssertionError("it was not refused")


START: Said = ("messageStart", {"role": "assistant", "p": "abc"})


def begin(index: int, **what: Any) -> Said:
    return "contentBlockStart", {"contentBlockIndex": index, "start": what}


def more(index: int, **what: Any) -> Said:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": what, "p": "abcdef"}


def stop(index: int) -> Said:
    return "contentBlockStop", {"contentBlockIndex": index}


def ending(reason: str) -> Said:
    return "messageStop", {"stopReason": reason}


def metadata(**usage: int) -> Said:
    counts = {"inputTokens": 5, "outputTokens": 9, "totalTokens": 14}
    return "metadata", {"metrics": {"latencyMs": 1}, "usage": counts | usage}


def event(said: Said) -> Event:
    return Event(json.dumps(said[1], ensure_ascii=False).encode(), said[0].encode())


def reader(to: Target | None = None, one: Ask | None = None) -> Reader:
    return Bedrock().reader(one or ask(), to or hosted())


def read(events: Iterable[Said], to: Target | None = None, one: Ask | None = None) -> list[Delta]:
    """All deltas of a stream, to its end."""
    reads = reader(to, one)
    deltas = [delta for each in events for delta in reads.read(event(each))]
    deltas += reads.finish()
    assert reads.done
    return deltas


def body_of(events: Iterable[Said]) -> bytes:
    """The bytes of a stream."""
    return b"".join(frame(name, json.dumps(value, ensure_ascii=False).encode()) for name, value in events)


OWN = body_of(
    [
        START,
        more(0, reasoningContent={"text": "hm…"}),
        more(0, reasoningContent={"signature": "c2ln"}),
        stop(0),
        more(1, reasoningContent={"redactedContent": "eHg="}),
        stop(1),
        more(2, text="Grüße, 世界 🌍"),
        stop(2),
        begin(3, toolUse={"toolUseId": "tooluse_1", "name": "f"}),
        more(3, toolUse={"input": '{"wo":'}),
        more(3, toolUse={"input": '"Zürich 🌊"}'}),
        stop(3),
        begin(4, toolUse={"toolUseId": "tooluse_2", "name": "g"}),
        stop(4),
        ending("tool_use"),
        metadata(),
    ]
)
"""Every kind of event that says something, with characters of two, three and four bytes."""
