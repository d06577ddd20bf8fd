"""The conversation in a request: six roles, and the parts that their content may be made of.

A union is told apart by one field: messages by `role`, parts and calls by `type`. Fields that the API does not have
are not here; they stay in the request's untyped body.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SomeItems = Meta(min_length=1)


class Breakpoint(msgspec.Struct, frozen=True):
    """Ends a prefix of the prompt that the provider should keep in its cache."""

    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class TextPart(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Text."""

    text: str
    prompt_cache_breakpoint: Breakpoint | None = None


class OnlyText(msgspec.Struct, frozen=True):
    """Text, where a part may be nothing else."""

    type: Literal["text"]  # a field and no tag: msgspec would let the tag of a lone struct be absent
    text: str
    prompt_cache_breakpoint: Breakpoint | None = None


class RefusalPart(msgspec.Struct, frozen=True, tag_field="type", tag="refusal"):
    """What the model said when it declined."""

    refusal: str


class ImageUrl(msgspec.Struct, frozen=True):
    """An address or a `data:` URL, and how closely to look."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(msgspec.Struct, frozen=True, tag_field="type", tag="image_url"):
    """An image."""

    image_url: ImageUrl
    prompt_cache_breakpoint: Breakpoint | None = None


class InputAudio(msgspec.Struct, frozen=True):
    """Sound, as base64."""

    data: str
    format: Literal["wav", "mp3"]


class AudioPart(msgspec.Struct, frozen=True, tag_field="type", tag="input_audio"):
    """Sound."""

    input_audio: InputAudio
    prompt_cache_breakpoint: Breakpoint | None = None


class File(msgspec.Struct, frozen=True):
    """A file: its bytes as base64 with a name, or the id of an uploaded one."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class FilePart(msgspec.Struct, frozen=True, tag_field="type", tag="file"):
    """A file."""

    file: File
    prompt_cache_breakpoint: Breakpoint | None = None


Texts = Annotated[tuple[OnlyText, ...], SomeItems]
UserParts = Annotated[tuple[TextPart | ImagePart | AudioPart | FilePart, ...], SomeItems]
AssistantParts = Annotated[tuple[TextPart | RefusalPart, ...], SomeItems]


class CalledFunction(msgspec.Struct, frozen=True):
    """The function that the model called; `arguments` is JSON as the model wrote it, so it may be invalid."""

    name: str
    arguments: str


class FunctionToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A call of a function."""

    id: str
    function: CalledFunction


class CalledCustom(msgspec.Struct, frozen=True):
    """The custom tool that the model called, and the text it gave it."""

    name: str
    input: str


class CustomToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="custom"):
    """A call of a custom tool."""

    id: str
    custom: CalledCustom


class SpokenAnswer(msgspec.Struct, frozen=True):
    """An earlier answer in sound, by its id."""

    id: str


class DeveloperMessage(msgspec.Struct, frozen=True, tag_field="role", tag="developer"):
    """Instructions, as `system`."""

    content: str | Texts
    name: str | None = None


class SystemMessage(msgspec.Struct, frozen=True, tag_field="role", tag="system"):
    """Instructions."""

    content: str | Texts
    name: str | None = None


class UserMessage(msgspec.Struct, frozen=True, tag_field="role", tag="user"):
    """What the user said."""

    content: str | UserParts
    name: str | None = None


class AssistantMessage(msgspec.Struct, frozen=True, tag_field="role", tag="assistant"):
    """What the model answered. `content` may be absent where something else stands in its place."""

    content: str | AssistantParts | None = None
    refusal: str | None = None
    name: str | None = None
    audio: SpokenAnswer | None = None
    tool_calls: Annotated[tuple[FunctionToolCall | CustomToolCall, ...], SomeItems] | None = None
    function_call: CalledFunction | None = None

    @property
    def says_something(self) -> bool:
        instead = self.tool_calls or self.function_call or self.audio
        return self.content is not None or self.refusal is not None or instead is not None


class ToolMessage(msgspec.Struct, frozen=True, tag_field="role", tag="tool"):
    """What a tool answered to the call with that id."""

    content: str | Texts
    tool_call_id: str


class FunctionMessage(msgspec.Struct, frozen=True, tag_field="role", tag="function"):
    """What a function answered (deprecated)."""

    content: str | None
    name: str


Message = DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage
