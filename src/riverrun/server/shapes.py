"""What the server answers, beside chunks and completions, as structs for its OpenAPI document."""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.wire.completion import Completion
from riverrun.wire.jsonvalue import JsonObject


class TriedTarget(msgspec.Struct, frozen=True):
    """One upstream call that failed: which target, and why."""

    target: str
    cause: str


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which request it was, what was tried, and where a broken stream stands."""

    request_id: str | None
    attempts: list[TriedTarget]
    stream_id: str | None = None
    last_seq: int | None = None


class ErrorObject(msgspec.Struct, frozen=True):
    """What was wrong, where, and what to do; `param` is the path of the parameter, `code` names the rule."""

    message: str
    type: str
    param: str | None
    code: str | None
    riverrun: Facts


class Error(msgspec.Struct, frozen=True):
    """Every failure: the body of an HTTP error, or the data of the event that ends a broken stream."""

    error: ErrorObject


class Model(msgspec.Struct, frozen=True):
    """One model that answers here. `created` is in Unix seconds."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(msgspec.Struct, frozen=True):
    """The models that answer here."""

    object: Literal["list"]
    data: list[Model]


class Health(msgspec.Struct, frozen=True):
    """The state of the server; more fields say more about it."""

    status: str


class StoredCompletion(Completion, frozen=True, kw_only=True):
    """A completion that was asked for with `store`, and what it was asked with; null for what was left out."""

    request_id: str
    metadata: dict[str, str]
    input_user: str | None
    frequency_penalty: float | None
    presence_penalty: float | None
    response_format: JsonObject | None
    seed: int | None
    temperature: float | None
    tool_choice: msgspec.Raw
    tools: list[JsonObject] | None
    top_p: float | None


class StoredList(msgspec.Struct, frozen=True):
    """A page of stored completions."""

    object: Literal["list"]
    data: list[StoredCompletion]
    first_id: str | None
    last_id: str | None
    has_more: bool


class StoredMessage(msgspec.Struct, frozen=True):
    """A message of the request. `content_parts` is what it was given as a list; what else it had is there too."""

    id: str
    role: str
    content: str | None
    content_parts: list[JsonObject] | None


class MessageList(msgspec.Struct, frozen=True):
    """A page of a request's messages."""

    object: Literal["list"]
    data: list[StoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(msgspec.Struct, frozen=True):
    """A completion that is gone."""

    id: str
    object: Literal["chat.completion.deleted"]
    deleted: Literal[True]


class CancelledCompletion(msgspec.Struct, frozen=True):
    """How a completion stands that somebody wanted to end. One that had ended already stays as it was."""

    id: str
    object: Literal["chat.completion.cancelled"]
    status: Literal["cancelled", "completed", "failed"]
