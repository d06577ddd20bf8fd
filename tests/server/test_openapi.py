"""The document is valid OpenAPI 3.1, and what it says of requests and answers is what the server does."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from riverrun.backends.scripted import text
from riverrun.failures import Cause, Failure
from riverrun.server.openapi import document
from riverrun.wire.errors import error_object
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.limits import Limits
from riverrun.wire.request import PARAMETERS, parse_chat
from tests import virtual
from tests.runs.scenes import Scene
from tests.server.calls import Call, ask, get
from tests.server.test_app import application
from tests.wire.valid import FULL, LEGACY, encode, json_values

DOCUMENT = json.loads(msgspec.json.encode(document("1.2.3")))
SCHEMAS = DOCUMENT["components"]["schemas"]


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_each_path_has_its_methods() -> None:
    assert {path: sorted(methods) for path, methods in DOCUMENT["paths"].items()} == {
        "/v1/chat/completions": ["get", "post"],
        "/v1/chat/completions/{id}": ["delete", "get", "parameters", "post"],
        "/v1/chat/completions/{id}/cancel": ["parameters", "post"],
        "/v1/chat/completions/{id}/messages": ["get", "parameters"],
        "/v1/models": ["get"],
        "/v1/models/{model}": ["get"],
        "/health": ["get"],
        "/openapi.json": ["get"],
        "/": ["get"],
    }


def test_every_parameter_is_described() -> None:
    properties = SCHEMAS["ChatRequest"]["properties"]
    assert set(properties) == PARAMETERS
    assert [name for name, each in properties.items() if "description" not in each] == []
    assert SCHEMAS["ChatRequest"]["required"] == ["messages", "model"]


def test_the_answer_is_whole_or_a_stream() -> None:
    responses = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["responses"]
    assert set(responses["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(responses) == {"200"} | {str(cause.value.status) for cause in Cause} - {"405"}
    assert "`context_length_exceeded`" in responses["400"]["description"]


@pytest.mark.parametrize("body", [FULL, LEGACY])
def test_valid_requests_fit_the_schema(body: dict[str, JsonValue]) -> None:
    assert list(schema("ChatRequest").iter_errors(body)) == []


@given(st.sampled_from(sorted(PARAMETERS)), json_values)
@settings(max_examples=150, deadline=None)
def test_what_the_schema_refuses_the_server_refuses(name: str, value: JsonValue) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], name: value}
    # JSON Schema takes 1.0 for an integer; the server does not, and its cross-field rules are not in a schema.
    if not schema("ChatRequest").is_valid(body):
        with pytest.raises(Failure):
            parse_chat(encode(body), Limits(n=128, stop=99))


@pytest.mark.parametrize("cause", list(Cause))
def test_errors_fit_the_schema(cause: Cause) -> None:
    body = error_object(Failure(cause, "It went wrong."), request_id="r", stream_id="s", last_seq=3)
    assert list(schema("Error").iter_errors(json.loads(msgspec.json.encode(body)))) == []


def test_chunks_and_completions_fit_the_schema() -> None:
    chunk: dict[str, JsonValue] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1694268190,
        "model": "m",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": {"content": "Hello"}, "logprobs": None, "finish_reason": None}],
    }
    assert list(schema("Chunk").iter_errors(chunk)) == []
    assert not schema("Chunk").is_valid(chunk | {"object": "chat.completion"})
    message: JsonValue = {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []}
    completion = chunk | {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
    assert list(schema("Completion").iter_errors(completion)) == []


def test_what_is_said_of_stored_completions_fits_the_schema() -> None:
    async def main() -> None:
        app = application(Scene(text("one")))
        tools = [{"type": "function", "function": {"name": "f"}}]
        for more in ({}, {"user": "u", "seed": 1, "tools": tools, "tool_choice": "none", "metadata": {"a": "b"}}):
            made = await ask(app, {"store": True, **more}).done()
            path = made.headers["location"]
            answers = [
                ("Completion", made),
                ("StoredCompletion", await get(app, path).done()),
                ("StoredCompletion", await Call(app, "POST", path, {"metadata": {"c": "d"}}).done()),
                ("StoredList", await get(app, "/v1/chat/completions").done()),
                ("MessageList", await get(app, path + "/messages").done()),
                ("CancelledCompletion", await Call(app, "POST", path + "/cancel").done()),
                ("Deleted", await Call(app, "DELETE", path).done()),
                ("Error", await get(app, path).done()),
            ]
            for name, answer in answers:
                assert list(schema(name).iter_errors(json.loads(answer.body))) == []

    virtual.run(main())
