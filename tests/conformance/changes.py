"""Small changes to streams: what the mutations are made of."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

from riverrun.conformance import Capture
from riverrun.wire.jsonvalue import JsonValue
from tests.conformance.streams import (
    ERROR,
    WITH_USAGE,
    Object,
    captured,
    chunk,
    counted,
    end,
    event,
    logprobs,
    rendered,
    text,
)

Mutants = tuple[Callable[[], Capture], Callable[[], Capture]]
BODY = rendered(text())
DONE = b"data: [DONE]\n\n"
THREE_ASK: Object = {**WITH_USAGE, "n": 3}
TAIL = [end("stop"), counted()]
CALL_TAIL = [end("tool_calls"), counted()]


def mutant(stream: bytes | list[Object], asked: Object | None = None, **more: object) -> Callable[[], Capture]:
    """A capture to be made later."""
    return lambda: captured(stream, asked, **more)  # type: ignore[arg-type]  # passed on as they are


def at(place: int, stream: list[Object], **keys: JsonValue) -> list[Object]:
    """The stream with some top-level keys of one chunk replaced; `...` takes a key away."""
    made = copy.deepcopy(stream)
    made[place].update(keys)
    return made


def without(place: int, name: str, stream: list[Object]) -> list[Object]:
    """The stream without one top-level key of one chunk."""
    made = copy.deepcopy(stream)
    del made[place][name]
    return made


def choice_at(place: int, stream: list[Object], **keys: JsonValue) -> list[Object]:
    """The stream with some keys of one chunk's choice replaced."""
    made = copy.deepcopy(stream)
    choices = made[place]["choices"]
    assert isinstance(choices, list)
    first = choices[0]
    assert isinstance(first, dict)
    first.update(keys)
    return made


def put(place: int, stream: list[Object], *chunks: Object) -> list[Object]:
    """The stream with chunks inserted."""
    return [*stream[:place], *chunks, *stream[place:]]


def inserted(extra: bytes, place: int = 2, numbered: bool = False) -> bytes:
    """The bytes of a text stream with something between two of its events."""
    events = [*(event(one) for one in text()), DONE]
    if numbered:
        events = [b"id: %d\n%b" % (number, one) for number, one in enumerate(events, 1)]
    return b"".join([*events[:place], extra, *events[place:]])


def replaced(old: bytes, new: bytes, body: bytes = BODY) -> bytes:
    """The bytes with one thing changed once."""
    assert old in body
    return body.replace(old, new, 1)


def paced(*, buffered: bool) -> tuple[tuple[float, bytes], ...]:
    """A stream of 40 words that takes two seconds: its blocks all at the end, or one block."""
    body = rendered(text([f" {number}" for number in range(40)]))
    if buffered:
        return ((2.0, body),)
    step = len(body) // 50
    return tuple((2.0 + place / 1e7, body[place : place + step]) for place in range(0, len(body), step))


def token_changed(**keys: JsonValue) -> list[Object]:
    """Text with logprobs whose third token is changed."""
    made = json.loads(json.dumps(logprobs()))
    made[3]["choices"][0]["logprobs"]["content"][0].update(keys)
    changed: list[Object] = made
    return changed


def uneven(prompt: JsonValue, total: int) -> Object:
    """A usage chunk that does not add up."""
    return chunk(usage={"prompt_tokens": prompt, "completion_tokens": 7, "total_tokens": total})


def error(**keys: JsonValue) -> bytes:
    """A text stream that breaks off with an error whose object is changed."""
    return rendered(text()[:3], event({"error": {**ERROR, **keys}}))


def refused(body: bytes, status: int = 400, *headers: tuple[str, str]) -> Callable[[], Capture]:
    """An HTTP error."""
    return mutant(body, status=status, headers=(*(headers or (("content-type", "application/json"),)),))
