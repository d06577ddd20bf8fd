"""Bytes to a request: what is accepted, what is kept, and that nothing but a Failure ever comes out."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.limits import Limits
from riverrun.wire.refusal import mismatch
from riverrun.wire.request import PARAMETERS, ChatRequest, parse_chat
from tests.wire.valid import FULL, LEGACY, MESSAGES, OPTIONAL, encode, json_values, with_

Path = tuple[str | int, ...]


def test_all_37_parameters_are_known_and_accepted() -> None:
    assert len(PARAMETERS) == 37
    assert set(FULL) | set(LEGACY) == PARAMETERS
    for body in (FULL, LEGACY):
        chat = parse_chat(encode(body))
        assert chat.extra == ()
        assert chat.body == body
        assert all(getattr(chat.request, name) is not None for name in body)


def test_the_values_arrive_typed() -> None:
    request = parse_chat(encode(FULL)).request
    assert [type(message).__name__ for message in request.messages] == [
        "DeveloperMessage",
        "SystemMessage",
        "UserMessage",
        "AssistantMessage",
        "ToolMessage",
        "AssistantMessage",
        "AssistantMessage",
        "FunctionMessage",
        "UserMessage",
    ]
    assert (request.temperature, request.top_p, request.seed) == (2.0, 1.0, -(2**63))
    assert request.tools is not None
    assert [tool.name for tool in request.tools] == ["look", "write"]


def test_defaults() -> None:
    chat = parse_chat(with_())
    assert (chat.model, chat.stream, chat.n) == ("river", False, 1)
    assert (chat.include_usage, chat.include_obfuscation) == (False, False)
    assert (chat.request.limit, chat.request.stops) == (None, ())


def test_null_is_the_default_of_every_optional_parameter() -> None:
    names = PARAMETERS - {"messages", "model"}
    chat = parse_chat(with_(**dict.fromkeys(names)))
    assert chat.request == parse_chat(with_()).request
    assert set(chat.body) == PARAMETERS


def test_options_of_a_stream() -> None:
    chat = parse_chat(with_(stream=True, stream_options={"include_usage": True, "include_obfuscation": True}))
    assert (chat.stream, chat.include_usage, chat.include_obfuscation) == (True, True, True)


@pytest.mark.parametrize(
    ("sent", "limit"),
    [
        ({}, None),
        ({"max_tokens": 3}, 3),
        ({"max_completion_tokens": 4}, 4),
        ({"max_tokens": 3, "max_completion_tokens": 4}, 4),
        ({"max_tokens": 3, "max_completion_tokens": None}, 3),
    ],
)
def test_max_completion_tokens_wins(sent: dict[str, int | None], limit: int | None) -> None:
    assert parse_chat(with_(**sent)).request.limit == limit


@pytest.mark.parametrize(
    ("stop", "stops"), [("\n", ("\n",)), ("", ()), (["a", "b"], ("a", "b")), (["", "b"], ("b",)), (None, ())]
)
def test_stops_are_one_tuple(stop: object, stops: tuple[str, ...]) -> None:
    assert parse_chat(with_(stop=stop)).request.stops == stops


def test_unknown_fields_are_kept_and_the_top_ones_named() -> None:
    messages = [{"role": "user", "content": "Hi", "reasoning_content": [1]}]
    chat = parse_chat(with_(top_k=3, messages=messages, min_p=None))
    assert chat.extra == ("top_k", "min_p")
    assert chat.body["top_k"] == 3
    assert chat.body["messages"] == messages


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"top_k": 1}, "Unrecognized request argument supplied: top_k"),
        ({"top_k": 1, "min_p": 0}, "Unrecognized request arguments supplied: top_k, min_p"),
    ],
)
def test_strict_refuses_unknown_fields(sent: dict[str, object], message: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_chat(with_(**sent), Limits(strict=True))
    failure = caught.value
    assert (failure.status, failure.message) == (400, message)
    assert (failure.param, failure.code) == ("top_k", "unknown_parameter")
    assert parse_chat(encode(FULL), Limits(strict=True)).extra == ()


def test_a_repeated_key_is_validated_as_it_is_carried_on() -> None:
    chat = parse_chat(
        b'{"model":"a","messages":[],"temperature":"x","model":"b","temperature":1,'
        b'"messages":[{"role":"tool","content":"Hi","role":"user"}]}'
    )
    assert (chat.model, chat.body["model"], chat.body["temperature"]) == ("b", "b", 1)
    assert type(chat.request.messages[0]).__name__ == "UserMessage"
    assert chat.body["messages"] == [{"role": "user", "content": "Hi"}]


@given(
    st.sets(st.sampled_from(OPTIONAL)),
    st.lists(st.sampled_from(MESSAGES[:3] + MESSAGES[5:]), min_size=1),
    st.dictionaries(st.text("xyz", min_size=1), json_values, max_size=2),
)
def test_valid_requests_parse_and_their_body_comes_back(
    names: set[str], messages: list[JsonValue], extra: dict[str, JsonValue]
) -> None:
    chosen = {name: FULL[name] for name in names}
    if "stream_options" in chosen:
        chosen["stream"] = True
    if "tool_choice" in chosen:
        chosen["tools"] = FULL["tools"]
    sent = {"model": "river", "messages": messages, **chosen, **extra}
    chat = parse_chat(encode(sent))
    assert chat.body == sent
    assert msgspec.json.decode(encode(chat.body)) == sent
    assert set(chat.extra) == set(extra)
    assert msgspec.convert(msgspec.to_builtins(chat.request), ChatRequest) == chat.request


def parse_or_refuse(body: bytes) -> Failure | None:
    """The refusal of a body, or None where it is accepted. Anything else than a Failure is an error of the test."""
    refused = None
    try:
        parse_chat(body)
    except Failure as failure:
        refused = failure
    assert refused is None or refused.status == 400
    assert refused is None or 0 < len(refused.message) < 3000
    return refused


@given(json_values)
def test_any_json_is_accepted_or_refused(value: JsonValue) -> None:
    parse_or_refuse(encode(value))


@given(st.dictionaries(st.sampled_from(sorted(PARAMETERS)), json_values))
def test_any_values_of_the_parameters_are_accepted_or_refused_by_name(values: dict[str, JsonValue]) -> None:
    failure = parse_or_refuse(encode(values))
    if failure is not None:
        assert failure.param


@given(st.binary(max_size=64) | st.text('{}[]":,\\ue019.-tfn \t', max_size=40).map(str.encode))
def test_any_bytes_are_refused(body: bytes) -> None:
    assert parse_or_refuse(body) is not None


@given(st.data())
@settings(max_examples=200)
def test_a_request_with_bytes_changed_is_accepted_or_refused(data: st.DataObject) -> None:
    body = bytearray(encode(FULL))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=2) | st.sampled_from([b'"', b"{"]))
    parse_or_refuse(bytes(body))


def places(value: JsonValue, path: Path = ()) -> Iterator[Path]:
    """The path of every value inside, except what is only carried (a JSON Schema)."""
    items: Iterator[tuple[str | int, JsonValue]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, item in items:
        yield (*path, key)
        if key not in ("parameters", "schema"):
            yield from places(item, (*path, key))


PLACES = list(places(FULL))
GONE = object()


@given(st.sampled_from(PLACES), st.just(GONE) | json_values)
@settings(max_examples=600)
def test_a_broken_field_is_named(path: Path, value: object) -> None:
    """The walker never finds nothing where the conversion failed: it would have no `param`."""
    body = copy.deepcopy(FULL)
    holder: JsonValue = body
    for key in path[:-1]:
        holder = holder[key]  # type: ignore[index]  # paths of FULL exist in its copy
    assert isinstance(holder, dict | list)
    if value is GONE:
        del holder[path[-1]]  # type: ignore[arg-type]
    else:
        holder[path[-1]] = value  # type: ignore[index,call-overload,assignment]
    failure = parse_or_refuse(encode(body))
    if failure is None:
        assert "no reason" in mismatch(body, ChatRequest).message
    else:
        assert failure.param
        assert "no reason" not in failure.message
