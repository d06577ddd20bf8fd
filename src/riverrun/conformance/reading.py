"""A capture, read once for all rules: frames, chunks, errors, and each choice's steps in order.

It sorts and never judges: whatever is malformed is kept where a rule can point at it. It knows nothing of how
riverrun makes a stream, so that it can hold riverrun to the same rules as a stranger.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from riverrun.conformance.capture import Capture
from riverrun.conformance.lines import BOM, Frame, frames
from riverrun.wire.jsonvalue import JsonValue

Object = dict[str, JsonValue]


class Chunk(NamedTuple):
    """One JSON object of the stream and the frame that brought it."""

    frame: Frame
    body: Object


class Step(msgspec.Struct, frozen=True):
    """What one chunk says about one choice. `delta` is empty where the wire had none or not an object."""

    frame: Frame
    choice: Object
    delta: Object
    index: int


class Fragment(NamedTuple):
    """One item of a delta's tool_calls."""

    frame: Frame
    choice: int
    body: Object


def mapping(value: JsonValue) -> Object:
    """The value when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: JsonValue) -> list[JsonValue]:
    """The value when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: JsonValue) -> str:
    """The value when it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def whole_number(value: JsonValue) -> bool:
    """Whether the value is an integer on the wire (true is not one)."""
    return isinstance(value, int) and not isinstance(value, bool)


def refuse_constant(name: str) -> float:
    """JSON has no NaN and no Infinity."""
    raise ValueError(f"{name} is not JSON")


def parsed(data: bytes) -> JsonValue:
    """JSON, strictly; lone surrogates are let through, because a rule looks for them. Raises ValueError."""
    value: JsonValue = json.loads(data.decode("utf-8", "replace"), parse_constant=refuse_constant)
    return value


def maybe_parsed(data: bytes) -> JsonValue:
    """The JSON value, or None where there is none."""
    try:
        return parsed(data)
    except (ValueError, RecursionError):
        return None


def terminator(data: bytes) -> bool:
    """Whether an event means the end, however it is spelled."""
    return data.strip().strip(b"\"'").strip().upper() == b"[DONE]"


class Reading:
    """`beside` holds the other exchanges of the same session, for the rules that compare."""

    def __init__(self, capture: Capture, beside: Sequence[Capture] = ()) -> None:
        self.capture = capture
        self.beside = beside
        body = capture.body
        self.bom = body.startswith(BOM)
        self.bytes = body[len(BOM) :] if self.bom else body
        self.asked = mapping(maybe_parsed(capture.request or b""))
        self.known = capture.request is not None
        self.whole: Object = {}
        """The answer as one JSON object, when it is one."""
        self.frames: list[Frame] = []
        self.chunks: list[Chunk] = []
        self.errors: list[Chunk] = []
        self.dones: list[Frame] = []
        self.malformed: list[Frame] = []
        if self.bytes.lstrip()[:1] == b"{":
            self.whole = mapping(maybe_parsed(self.bytes))
        elif self.streamed:
            self._sort()
        self.steps = list(self._steps())
        self.fragments = list(self._fragments())

    @property
    def streamed(self) -> bool:
        """Whether a stream was asked for, or, where the request is not known, one came."""
        return self.asked.get("stream") is True if self.known else True

    @property
    def is_stream(self) -> bool:
        """Whether the answer is an event stream to be judged by the rules of streams."""
        return self.streamed and self.capture.status == 200 and bool(self.frames)

    @property
    def n(self) -> int:
        """How many choices were asked for; from the stream itself where the request is not known."""
        n = self.asked.get("n")
        if isinstance(n, int) and self.known:
            return max(n, 1)
        return 1 if self.known else 1 + max((step.index for step in self.steps), default=0)

    @property
    def include_usage(self) -> bool:
        """Whether usage was asked for; from the stream itself where the request is not known."""
        if self.known:
            return mapping(self.asked.get("stream_options")).get("include_usage") is True
        return any("usage" in chunk.body for chunk in self.chunks)

    @property
    def over(self) -> bool:
        """Whether the body ended by itself: neither cut off nor left by us."""
        return self.capture.ended in ("complete", "unknown")

    def of(self, index: int) -> list[Step]:
        """One choice's steps."""
        return [step for step in self.steps if step.index == index]

    @property
    def indexes(self) -> list[int]:
        """The choices that appeared, in order of appearance."""
        return list(dict.fromkeys(step.index for step in self.steps))

    def finish(self, index: int) -> str:
        """A choice's finish_reason, or an empty string."""
        return next(
            (text(step.choice.get("finish_reason")) for step in self.of(index) if step.choice.get("finish_reason")), ""
        )

    def arrival(self, offset: int) -> float:
        """When the byte at this offset of the body came, in seconds after the request."""
        end = -len(BOM) if self.bom else 0
        for time, block in self.capture.blocks:
            end += len(block)
            if offset < end:
                return time
        return self.capture.blocks[-1][0] if self.capture.blocks else 0.0

    def _sort(self) -> None:
        self.frames = frames(self.bytes)
        for frame in self.frames:
            if not frame.data:
                continue
            if terminator(frame.data):
                self.dones.append(frame)
            if self.dones:  # what follows it is for F12 alone: most clients read no further
                continue
            body = maybe_parsed(frame.data)
            if not isinstance(body, dict):
                self.malformed.append(frame)
            elif body.get("error") or frame.values(b"event") == [b"error"]:
                self.errors.append(Chunk(frame, body))
            else:
                self.chunks.append(Chunk(frame, body))

    def _steps(self) -> Iterator[Step]:
        for frame, body in self.chunks:
            for choice in items(body.get("choices")):
                if isinstance(choice, dict):
                    index = choice.get("index")
                    delta = mapping(choice.get("delta"))
                    yield Step(frame, choice, delta, index if isinstance(index, int) else 0)

    def _fragments(self) -> Iterator[Fragment]:
        for step in self.steps:
            for item in items(step.delta.get("tool_calls")):
                yield Fragment(step.frame, step.index, mapping(item))
