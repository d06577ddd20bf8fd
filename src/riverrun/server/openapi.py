"""GET /openapi.json: what is served, drawn from the structs that serve it, so that it can't say anything else.

It knows the paths and their answers; fields and ranges are the structs', statuses and codes the failures'.
"""

from __future__ import annotations

from typing import cast, get_args

import msgspec

from riverrun.failures import Cause
from riverrun.server.completions import Update
from riverrun.server.listing import Page
from riverrun.server.shapes import (
    CancelledCompletion,
    Deleted,
    Error,
    Health,
    MessageList,
    Model,
    ModelList,
    StoredCompletion,
    StoredList,
)
from riverrun.tapes.contract import Policy
from riverrun.wire.chunk import Chunk
from riverrun.wire.completion import Completion
from riverrun.wire.digest import LONGEST_KEY
from riverrun.wire.jsonvalue import JsonObject, JsonValue
from riverrun.wire.parameters import ChatRequest

STRUCTS = (
    ChatRequest,
    Completion,
    Chunk,
    Error,
    Model,
    ModelList,
    Health,
    StoredCompletion,
    StoredList,
    MessageList,
    Deleted,
    CancelledCompletion,
    Update,
)
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


KEPT = ("BAD_REQUEST", "UNKNOWN_ID", "EXPIRED", "STORAGE")
"""Those of a request about a completion that is there already."""
ANSWERED = tuple(cause.name for cause in Cause if cause.name not in ("WRONG_METHOD", "KEY_REUSED"))
"""Those of a request that is answered with a completion, which may itself have failed."""

POLICIES: JsonValue = {"type": "string", "enum": list(get_args(Policy))}
NUMBER: JsonValue = {"type": "integer", "minimum": 0}
COMING_BACK: tuple[tuple[str, JsonValue, str], ...] = (
    (
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
        "Names the request: sent again, it joins the running answer, or gets the one that there was.",
    ),
    ("Last-Event-ID", NUMBER, "With an Idempotency-Key: only the events after this one."),
    ("x-riverrun-on-disconnect", POLICIES, "What becomes of the answer when its last reader has left."),
)
CURSORS: tuple[tuple[str, str, JsonValue, str], ...] = (
    ("query", "stream", {"type": "boolean"}, "Its events. `Accept: text/event-stream` says the same."),
    ("query", "starting_after", NUMBER, "Only the events after this one."),
    ("header", "Last-Event-ID", NUMBER, "The same."),
)
PAGING = {
    "after": "The id of the last one that was seen.",
    "limit": "How many at most.",
    "model": "Only those of this model.",
    "order": "By their making, the oldest or the newest first.",
}
METADATA: JsonValue = {
    "name": "metadata",
    "in": "query",
    "style": "deepObject",
    "description": "Only those whose metadata has all of these: `metadata[key]=value`.",
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
}
ID: JsonValue = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The completion's id, as its events, its `x-request-id` and its `location` have it.",
    "schema": {"type": "string"},
}
ANSWER_HEADERS: dict[str, JsonValue] = {
    "location": {"description": "Where the answer can be had again.", "schema": {"type": "string"}},
    "idempotent-replayed": {"description": "The answer was there before.", "schema": {"const": "true"}},
}


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
        "/v1/chat/completions": {"get": _list(), "post": _chat()},
        "/v1/chat/completions/{id}": {
            "parameters": [ID],
            "get": _retrieve(),
            "post": _update(),
            "delete": _kept("deleteChatCompletion", "Forgets a completion at once, also one that runs.", "Deleted"),
        },
        "/v1/chat/completions/{id}/cancel": {
            "parameters": [ID],
            "post": _kept("cancelChatCompletion", "Ends a running completion.", "CancelledCompletion"),
        },
        "/v1/chat/completions/{id}/messages": {
            "parameters": [ID],
            "get": _kept("listChatCompletionMessages", "The messages of a stored completion's request.", "MessageList")
            | {"parameters": _page("after", "limit", "order")},
        },
        "/v1/models": {"get": _get("listModels", "The models that answer here.", "ModelList")},
        "/v1/models/{model}": {"get": _get("retrieveModel", "One model.", "Model") | {"parameters": [model]}},
        "/health": {"get": _get("health", "Whether the server answers, and what it is doing.", "Health")},
        "/openapi.json": {"get": _get("openapi", "This document.", None)},
        "/": {"get": _get("page", "A page for people: what is running here.", None, "text/html")},
    }


def _chat() -> dict[str, JsonValue]:
    answer = _answer(
        "The answer. With `stream: true` it is sent as server-sent events while it is made: the data of each is "
        "one chunk, and of the last `[DONE]`. An answer that breaks off ends in an event with an error instead.",
        _ref("Completion"),
    )
    return {
        "operationId": "createChatCompletion",
        "summary": "An answer to a conversation, whole or as a stream.",
        "parameters": [_named("header", name, schema, said) for name, schema, said in COMING_BACK],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("ChatRequest")}}},
        "responses": {"200": answer, **_errors([cause for cause in Cause if cause is not Cause.WRONG_METHOD])},
    }


def _answer(description: str, whole: JsonValue) -> dict[str, JsonValue]:
    """A completion, whole or as a stream."""
    return {
        "description": description,
        "headers": {**HEADERS, **ANSWER_HEADERS},
        "content": {
            "application/json": {"schema": whole},
            "text/event-stream": {"schema": {"anyOf": [_ref("Chunk"), _ref("Error"), {"const": "[DONE]"}]}},
        },
    }


def _retrieve() -> dict[str, JsonValue]:
    said = "The completion, once it is complete; or its events behind the cursor, as they were sent."
    end: JsonValue = {"description": "The cursor is the end of a stream that has ended.", "headers": HEADERS}
    shown: JsonValue = {"anyOf": [_ref("StoredCompletion"), _ref("Completion")]}
    parameters: JsonValue = [_named(*each) for each in CURSORS]
    return {
        "operationId": "retrieveChatCompletion",
        "summary": "Comes back to a completion, which may still run.",
        "parameters": parameters,
        "responses": {"200": _answer(said, shown), "204": end, **_errors([Cause[name] for name in ANSWERED])},
    }


def _list() -> dict[str, JsonValue]:
    return _kept("listChatCompletions", "The completions that were asked for with `store`.", "StoredList") | {
        "parameters": [*_page("after", "limit", "model", "order"), METADATA]
    }


def _update() -> dict[str, JsonValue]:
    body: JsonValue = {"required": True, "content": {"application/json": {"schema": _ref("Update")}}}
    return _kept("updateChatCompletion", "Replaces a stored completion's metadata.", "StoredCompletion") | {
        "requestBody": body
    }


def _kept(name: str, summary: str, schema: str) -> dict[str, JsonValue]:
    """An operation on completions that are there already."""
    answer: JsonValue = {
        "description": summary,
        "headers": HEADERS,
        "content": {"application/json": {"schema": _ref(schema)}},
    }
    causes = ANSWERED if name == "updateChatCompletion" else (*LOCAL, *KEPT)
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": answer, **_errors([Cause[each] for each in causes])},
    }


def _page(*names: str) -> list[JsonValue]:
    """The query of a list, from the struct that reads it."""
    _, schemas = msgspec.json.schema_components((Page,), ref_template="#/components/schemas/{name}")
    properties = cast("dict[str, JsonValue]", schemas["Page"]["properties"])
    return [_named("query", name, properties[name], PAGING[name]) for name in names]


def _named(place: str, name: str, schema: JsonValue, description: str) -> JsonValue:
    return {"name": name, "in": place, "description": description, "schema": schema}


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
