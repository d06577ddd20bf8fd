"""Signed thoughts on their way through a client: out as `delta.reasoning_details`, back on the assistant's message.

An upstream that signs its thoughts wants them back as they were when a tool's result follows. The text of the first
thought is the message's `reasoning_content`; every later one brings its own, because the client has joined them all.
"""

from __future__ import annotations

import msgspec

from riverrun.dialects.history import thought
from riverrun.stream.deltas import Reasoning, Signature
from riverrun.wire.jsonvalue import JsonValue

FORMAT = "anthropic-claude-v1"
"""Who signed: OpenRouter's name for it. Another vendor's signature is not passed on."""


class Thought(msgspec.Struct, frozen=True):
    """A thought and the signature that proves it."""

    text: str
    signature: str


class Sealed(msgspec.Struct, frozen=True):
    """A thought that only the upstream can read."""

    data: str


class _Detail(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = FORMAT


class Thinking:
    """One choice's thoughts, while they are said. A thought is known by its block's index."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._number = -1
        self._block: int | None = None
        self._pieces: list[bytes] = []  # of the thought, if it is not the first

    def say(self, block: int, literal: bytes) -> Reasoning:
        """A piece of a thought, as a JSON string literal."""
        self._at(block)
        if self._number:
            self._pieces.append(literal[1:-1])
        return Reasoning(self._choice, literal)

    def sign(self, block: int, signature: str) -> Signature:
        """The thought's signature, which comes after it."""
        self._at(block)
        text = msgspec.json.decode(b'"%b"' % b"".join(self._pieces), type=str) if self._number else None
        return _signature(self._choice, {"type": "reasoning.text", "text": text, "signature": signature})

    def _at(self, block: int) -> None:
        if block != self._block:
            self._block = block
            self._number += 1
            self._pieces.clear()


def sealed(choice: int, data: str) -> Signature:
    """The delta of a thought that can't be shown."""
    return _signature(choice, {"type": "reasoning.encrypted", "data": data})


def thoughts(body: dict[str, JsonValue]) -> list[Thought | Sealed]:
    """The signed thoughts of an assistant's message, in order. What was not signed, or by another, is left out."""
    try:
        details = msgspec.convert(body.get("reasoning_details"), list[_Detail] | None) or []
    except msgspec.ValidationError:
        return []
    told: list[tuple[str | None, str] | Sealed] = []
    text: str | None = None
    for detail in details:
        if detail.format not in (FORMAT, None):
            continue
        if detail.type == "reasoning.encrypted" and detail.data:
            told.append(Sealed(detail.data))
        elif detail.type == "reasoning.text":
            text = detail.text if text is None else text + (detail.text or "")
            if detail.signature:
                told.append((text, detail.signature))
                text = None
    rest = _rest(body, [each[0] or "" for each in told if not isinstance(each, Sealed)])
    return [
        each if isinstance(each, Sealed) else Thought(rest if each[0] is None else each[0], each[1]) for each in told
    ]


def _rest(body: dict[str, JsonValue], texts: list[str]) -> str:
    """The joined text without the thoughts that bring their own."""
    return thought(body).removesuffix("".join(texts))


def _signature(choice: int, members: dict[str, str | None]) -> Signature:
    present = {name: value for name, value in members.items() if value is not None}
    return Signature(choice, msgspec.json.encode({**present, "format": FORMAT}))
