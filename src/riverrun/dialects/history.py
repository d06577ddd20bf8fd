"""What a conversation holds, for languages that say it in other words: its texts, thoughts and calls."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from riverrun.dialects.draft import Body, invalid
from riverrun.failures import Failure
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.messages import (
    AssistantMessage,
    FunctionToolCall,
    Message,
    OnlyText,
    RefusalPart,
    TextPart,
)
from riverrun.wire.request import Chat

TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    "heic": "image/heic", "heif": "image/heif", "bmp": "image/bmp",
    "wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "ogg": "audio/ogg", "m4a": "audio/mp4",
    "mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm", "mpeg": "video/mpeg",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html",
    "json": "application/json", "xml": "text/xml",
}  # fmt: skip
"""Media types by the ending of a name. A table of our own: the standard library's depends on the machine."""


def turns(chat: Chat) -> Iterator[tuple[str, Message, Body]]:
    """Every message: where it stands, for messages to the caller; typed; and as it was sent."""
    bodies = chat.body["messages"]
    assert isinstance(bodies, list)  # the typed request says so
    for index, (message, body) in enumerate(zip(chat.request.messages, bodies, strict=True)):
        assert isinstance(body, dict)
        yield f"messages[{index}]", message, body


def text(content: object) -> str:
    """The text of a message's content, one part a line. A refusal is what the model said, so it is text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, tuple) else ()
    return "\n".join(part.refusal if isinstance(part, RefusalPart) else part.text for part in parts if _says(part))


def _says(part: object) -> bool:
    return isinstance(part, TextPart | OnlyText | RefusalPart)


def said(message: AssistantMessage) -> str:
    """What the model said in an earlier answer."""
    return text(message.content) or message.refusal or ""


def thought(body: Body) -> str:
    """What the model thought in an earlier answer, where the client kept it: our name for it, or others' names."""
    value = body.get("reasoning_content") or body.get("reasoning")
    return value if isinstance(value, str) else ""


def calls(message: AssistantMessage, at: str) -> list[FunctionToolCall]:
    """The functions that an earlier answer called. Raises Failure (400) for custom tools."""
    out = []
    for number, call in enumerate(message.tool_calls or ()):
        if not isinstance(call, FunctionToolCall):
            raise invalid(f"{at}.tool_calls[{number}].type", "custom tools are not supported with this model")
        out.append(call)
    return out


def arguments(call: FunctionToolCall, at: str) -> Body:
    """A call's arguments as the object that they are in JSON. Raises Failure (400) where they are none."""
    try:
        value: JsonValue = msgspec.json.decode(call.function.arguments or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid(at, "this model takes a call's arguments only as a JSON object, and these are none")
    return value


def names(chat: Chat) -> dict[str, str]:
    """Which function each call's id belongs to: some upstreams want the name with the result."""
    return {
        call.id: call.function.name
        for message in chat.request.messages
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls or ()
        if isinstance(call, FunctionToolCall)
    }


def media_type(name: str | None) -> str | None:
    """The media type that a file's name or an address tells by its ending, if it does."""
    path = (name or "").partition("?")[0].partition("#")[0]
    return TYPES.get(path.rpartition(".")[2].lower())


def no_such_part(at: str, kind: str) -> Failure:
    return invalid(at, f"this model takes no content of type '{kind}'")
