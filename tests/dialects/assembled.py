"""What becomes of a reader's deltas: the stream that a client gets, judged by the checker and folded."""

from __future__ import annotations

import json

from riverrun.conformance.capture import Capture
from riverrun.conformance.judge import failures, judge
from riverrun.stream.assembler import Assembler, Plan
from riverrun.stream.deltas import Delta
from riverrun.wire.chunk import Identity
from riverrun.wire.sse import frame

ASK = {"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}}


def payloads(deltas: list[Delta]) -> list[bytes]:
    """The events of the client's stream, [DONE] and all. Raises Failure where the deltas break the grammar."""
    assembler = Assembler(Identity("chatcmpl-1", 1790000000, "m"), Plan(include_usage=True))
    return [*assembler.push(deltas), *assembler.finish()]


def faults(events: list[bytes]) -> list[str]:
    """What our own checker finds wrong with a stream of these events."""
    stream = b"".join(frame(number, payload) for number, payload in enumerate(events, 1))
    capture = Capture(
        request=json.dumps(ASK).encode(),
        headers=(("content-type", "text/event-stream; charset=utf-8"),),
        blocks=((0.0, stream),),
        ended="complete",
    )
    return [f"{one.rule.id}: {one.note}" for one in failures(judge(capture))]
