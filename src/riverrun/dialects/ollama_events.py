"""The shapes of an Ollama answer, as far as the reader looks into it. Text and arguments stay `msgspec.Raw`."""

from __future__ import annotations

import msgspec
from msgspec import Raw

ABSENT = Raw()


class CalledFunction(msgspec.Struct):
    """`arguments` is an object."""

    name: str = ""
    arguments: Raw = ABSENT


class Call(msgspec.Struct):
    """A whole call; older servers give it no id."""

    function: CalledFunction
    id: str | None = None


class Message(msgspec.Struct):
    content: Raw = ABSENT
    thinking: Raw = ABSENT
    tool_calls: list[Call] | None = None


class Line(msgspec.Struct):
    """One line of a stream, or a whole answer. Counts are in the last one."""

    message: Message | None = None
    logprobs: Raw = ABSENT
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Raw = ABSENT


line = msgspec.json.Decoder(Line).decode
