"""The request parameters that are objects: formats, sound, caching, search, moderation (wire-format.md, 1.1)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from riverrun.wire.jsonvalue import JsonObject
from riverrun.wire.messages import Texts
from riverrun.wire.tools import Name


class TextResponse(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Free text."""


class JsonObjectResponse(msgspec.Struct, frozen=True, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonSchema(msgspec.Struct, frozen=True):
    """A named JSON Schema that the answer follows."""

    name: Name
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None


class JsonSchemaResponse(msgspec.Struct, frozen=True, tag_field="type", tag="json_schema"):
    """JSON after a schema."""

    json_schema: JsonSchema


ResponseFormat = TextResponse | JsonObjectResponse | JsonSchemaResponse


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream carries beside the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class VoiceId(msgspec.Struct, frozen=True):
    """A voice of one's own."""

    id: str


class Audio(msgspec.Struct, frozen=True):
    """How a spoken answer sounds; needed where `modalities` asks for audio."""

    voice: str | VoiceId
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]


class Prediction(msgspec.Struct, frozen=True):
    """Text that much of the answer will repeat."""

    type: Literal["content"]
    content: str | Texts


class CacheOptions(msgspec.Struct, frozen=True):
    """How the provider's prompt cache is used."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] | None = None


class ModerationRule(msgspec.Struct, frozen=True):
    """What to do with one side of the conversation."""

    mode: Literal["score", "block"]


class ModerationPolicy(msgspec.Struct, frozen=True):
    """The rules for both sides."""

    input: ModerationRule | None = None
    output: ModerationRule | None = None


class Moderation(msgspec.Struct, frozen=True):
    """The moderation model, and what it does."""

    model: str
    policy: ModerationPolicy | None = None


class Place(msgspec.Struct, frozen=True):
    """Roughly where the user is."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class UserLocation(msgspec.Struct, frozen=True):
    """Where the user is."""

    type: Literal["approximate"]
    approximate: Place


class WebSearchOptions(msgspec.Struct, frozen=True):
    """A search on the web before the answer."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: UserLocation | None = None


Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
