"""GET /openapi.json: what is served, drawn from the structs that serve it, so that it can't say anything else.

It knows the paths and their answers; fields and ranges are the structs', statuses and codes the failures'.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from riverrun.failures import Cause
from riverrun.wire.chunk import Chunk
from riverrun.wire.completion import Completion
from riverrun.wire.jsonvalue import JsonObject, JsonValue
from riverrun.wire.parameters import ChatRequest


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


STRUCTS = (ChatRequest, Completion, Chunk, Error, Model, ModelList, Health)
HEADERS: dict[str, JsonValue] = {
    "x-request-id": {"description": "The id of the request; quote it in a report.", "schema": {"type": "string"}}
}
ERROR_HEADERS: dict[str, JsonValue] = {
    **HEADERS,
    "x-should-retry": {"description": "Whether the same request may succeed later.", "schema": {"type": "boolean"}},
    "retry-after": {"description": "When to try again, in seconds.", "schema": {"type": "integer"}},
}
LOCAL = ("UNKNOWN_MODEL", "BAD_KEY", "FORBIDDEN", "INTERNAL")
"""The causes that a request without a generation behind it can fail for."""


def document(version: str) -> dict[str, JsonValue]:
    """The OpenAPI 3.1 document of this version of the server."""
    _, schemas = msgspec.json.schema_components(
        STRUCTS, schema_hook=_anything, ref_template="#/components/schemas/{name}"
    )
    components: JsonObject = {
        "schemas": dict(schemas),
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "Where the server has keys."}},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "riverrun",
            "version": version,
            "summary": "The Chat Completions API in front of any model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": _paths(),
        "components": components,
    }


def _anything(carried: type) -> dict[str, JsonValue]:
    """The schema of JSON that is only carried: no rule at all."""
    return {"description": "Any JSON."}


def _paths() -> dict[str, JsonValue]:
    model: JsonValue = {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "The name of a model; it may hold slashes.",
        "schema": {"type": "string"},
    }
    return {
        "/v1/chat/completions": {"post": _chat()},
        "/v1/models": {"get": _get("listModels", "The models that answer here.", "ModelList")},
        "/v1/models/{model}": {"get": _get("retrieveModel", "One model.", "Model") | {"parameters": [model]}},
        "/health": {"get": _get("health", "Whether the server answers, and what it is doing.", "Health")},
        "/openapi.json": {"get": _get("openapi", "This document.", None)},
        "/": {"get": _get("page", "A page for people: what is running here.", None, "text/html")},
    }


def _chat() -> dict[str, JsonValue]:
    answer: dict[str, JsonValue] = {
        "description": (
            "The answer. With `stream: true` it is sent as server-sent events while it is made: the data of each is "
            "one chunk, and of the last `[DONE]`. An answer that breaks off ends in an event with an error instead."
        ),
        "headers": HEADERS,
        "content": {
            "application/json": {"schema": _ref("Completion")},
            "text/event-stream": {"schema": {"anyOf": [_ref("Chunk"), _ref("Error"), {"const": "[DONE]"}]}},
        },
    }
    return {
        "operationId": "createChatCompletion",
        "summary": "An answer to a conversation, whole or as a stream.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("ChatRequest")}}},
        "responses": {"200": answer, **_errors([cause for cause in Cause if cause is not Cause.WRONG_METHOD])},
    }


def _get(name: str, summary: str, schema: str | None, media: str = "application/json") -> dict[str, JsonValue]:
    content: JsonValue = {media: {"schema": _ref(schema) if schema else {}}}
    return {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": summary, "headers": HEADERS, "content": content},
            **_errors([Cause[name] for name in LOCAL]),
        },
    }


def _errors(causes: list[Cause]) -> dict[str, JsonValue]:
    """One response for each status, naming the codes that it comes with."""
    codes: dict[str, list[str]] = {}
    for cause in causes:
        codes.setdefault(str(cause.value.status), []).append(f"`{cause.value.code or cause.value.type}`")
    return {
        status: {
            "description": f"Failed with {', '.join(dict.fromkeys(names))}.",
            "headers": ERROR_HEADERS,
            "content": {"application/json": {"schema": _ref("Error")}},
        }
        for status, names in sorted(codes.items())
    }


def _ref(name: str) -> JsonValue:
    return {"$ref": f"#/components/schemas/{name}"}
