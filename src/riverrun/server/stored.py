"""How a completion is shown that was asked for with `store`: with its request's parameters; and the messages."""

from __future__ import annotations

from typing import cast

import msgspec

from riverrun.tapes.contract import Head, Tape
from riverrun.wire.completion import Completion
from riverrun.wire.jsonvalue import JsonObject, JsonValue

ASKED = (
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "seed",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
)
"""Parameters that the official API shows again; null where the request left them out."""


def shown(tape: Tape, completion: Completion) -> JsonObject:
    """A completion as its stored form has it."""
    request = _request(tape.head)
    return {
        **cast("JsonObject", msgspec.to_builtins(completion)),
        "request_id": tape.head.id,
        "metadata": cast("JsonValue", dict(tape.metadata)),
        "input_user": request.get("user"),
        **{name: request.get(name) for name in ASKED},
    }


def echoed(tape: Tape, completion: Completion) -> JsonObject:
    """A completion as the answer to its request, which is the same however often that is sent."""
    metadata = _request(tape.head).get("metadata")
    return {**cast("JsonObject", msgspec.to_builtins(completion)), "metadata": metadata or {}}


def messages(head: Head) -> list[JsonObject]:
    """The messages of the request, each with an id, and with `content_parts` where its content was a list of parts."""
    told: list[JsonObject] = []
    for index, message in enumerate(cast("list[JsonObject]", _request(head)["messages"])):
        content = message.get("content")
        parts = content if isinstance(content, list) else None
        text = None if parts is not None else content
        told.append({**message, "id": f"{head.id}-{index}", "content": text, "content_parts": parts})
    return told


def model(head: Head) -> str:
    """The model that was asked for."""
    return str(_request(head).get("model"))


def _request(head: Head) -> JsonObject:
    request: JsonObject = msgspec.json.decode(head.request)
    return request
