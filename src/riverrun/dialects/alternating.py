"""A conversation as the APIs that alternate turns see it: instructions apart, then user and assistant by turns.

Messages of one side that follow each other are one turn, and a tool's result is the user's. What a block is called
on the wire is each dialect's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from riverrun.dialects.attachments import Data, attached, pictured
from riverrun.dialects.draft import Body, invalid
from riverrun.dialects.history import arguments, calls, no_such_part, turns
from riverrun.dialects.thoughts import Sealed, Thought, thoughts
from riverrun.wire.jsonvalue import JsonObject
from riverrun.wire.messages import (
    AssistantMessage,
    AudioPart,
    Breakpoint,
    DeveloperMessage,
    FilePart,
    ImagePart,
    OnlyText,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from riverrun.wire.request import Chat

Role = Literal["user", "assistant"]
Ttl = Literal["", "30m", "12h"]


class Said(msgspec.Struct, frozen=True):
    """Text, never empty. `cache`: a prefix to keep ends here, for that long; "" for the upstream's default time."""

    text: str
    cache: Ttl | None = None


class Picture(msgspec.Struct, frozen=True):
    """An image: its bytes, or an address. `at` is its place in the request."""

    source: Data | str
    at: str
    cache: Ttl | None = None


class Document(msgspec.Struct, frozen=True):
    """A file: its bytes, or the id of an uploaded one."""

    source: Data | str
    name: str | None
    at: str
    cache: Ttl | None = None


class Called(msgspec.Struct, frozen=True):
    """A function that the model called."""

    id: str
    name: str
    arguments: JsonObject


class Answered(msgspec.Struct, frozen=True):
    """What came back from a call."""

    id: str
    texts: tuple[Said, ...]


Block = Said | Picture | Document | Called | Answered | Thought | Sealed


class Turn(msgspec.Struct, frozen=True):
    """What one side said before the other one did. Never empty."""

    role: Role
    blocks: tuple[Block, ...]


class Conversation(msgspec.Struct, frozen=True):
    """`dropped` names what was left out: who spoke, where a message has a name."""

    system: tuple[Said, ...]
    turns: tuple[Turn, ...]
    dropped: tuple[str, ...]


def alternating(chat: Chat) -> Conversation:
    """The request's messages, in today's words (`stream.legacy`). Raises Failure (400) for what no block can say."""
    system: list[Said] = []
    said: list[tuple[Role, list[Block]]] = []
    dropped: list[str] = []
    for at, message, body in turns(chat):
        if getattr(message, "name", None):
            dropped.append(f"{at}.name")
        if isinstance(message, SystemMessage | DeveloperMessage):
            system += _texts(message.content)
            continue
        role: Role = "assistant" if isinstance(message, AssistantMessage) else "user"
        blocks = BLOCKS[type(message)](message, body, at)
        if blocks and said and said[-1][0] == role:
            said[-1][1].extend(blocks)
        elif blocks:
            said.append((role, blocks))
    if not said:
        raise invalid("messages", "this model needs at least one message of the user that says something")
    return Conversation(tuple(system), tuple(Turn(role, tuple(blocks)) for role, blocks in said), tuple(dropped))


def _user(message: UserMessage, body: Body, at: str) -> list[Block]:
    if isinstance(message.content, str):
        return list(_texts(message.content))
    blocks = [_part(part, f"{at}.content[{number}]") for number, part in enumerate(message.content)]
    return [block for block in blocks if block is not None]


def _part(part: TextPart | ImagePart | AudioPart | FilePart, at: str) -> Block | None:
    cache = _cache(part.prompt_cache_breakpoint)
    if isinstance(part, TextPart):
        return Said(part.text, cache) if part.text else None
    if isinstance(part, ImagePart):
        return Picture(pictured(part.image_url.url, at), at, cache)
    if isinstance(part, FilePart):
        return Document(attached(part.file, at), part.file.filename, at, cache)
    raise no_such_part(at, "input_audio")


def _assistant(message: AssistantMessage, body: Body, at: str) -> list[Block]:
    """Thoughts first, then text, then calls: the order that the APIs ask for."""
    if message.audio is not None:
        raise invalid(f"{at}.audio", "an earlier answer in sound can't be given to this model")
    texts = _texts(message.content) or _texts(message.refusal)
    called = [
        Called(call.id, call.function.name, arguments(call, f"{at}.tool_calls[{number}].function.arguments"))
        for number, call in enumerate(calls(message, at))
    ]
    return [*thoughts(body), *texts, *called]


def _tool(message: ToolMessage, body: Body, at: str) -> list[Block]:
    return [Answered(message.tool_call_id, tuple(_texts(message.content)))]


BLOCKS: dict[type, Callable[..., list[Block]]] = {
    UserMessage: _user,
    AssistantMessage: _assistant,
    ToolMessage: _tool,
}


def _texts(content: str | tuple[OnlyText | TextPart | RefusalPart, ...] | None) -> list[Said]:
    if content is None or isinstance(content, str):
        return [Said(content)] if content else []
    texts = [
        Said(part.refusal) if isinstance(part, RefusalPart) else Said(part.text, _cache(part.prompt_cache_breakpoint))
        for part in content
    ]
    return [said for said in texts if said.text]


def _cache(point: Breakpoint | None) -> Ttl | None:
    return None if point is None else point.ttl or ""
