"""Every limit at the limit and one past it, and bodies that are no JSON object."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.wire.jsonvalue import JsonValue
from riverrun.wire.limits import Limits, load, refuse_over, too_deep
from riverrun.wire.request import parse_chat
from tests.wire.valid import encode, json_values, with_

HINT = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The API expects a JSON payload, but what was sent was not valid JSON. "
)


def refused(body: bytes, limits: Limits = Limits()) -> Failure:  # noqa: B008 - frozen
    with pytest.raises(Failure) as caught:
        parse_chat(body, limits)
    return caught.value


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1)


def test_a_body_may_be_as_long_as_the_limit() -> None:
    body = with_(user="x")
    assert parse_chat(body, Limits(body=len(body))).request.user == "x"
    failure = refused(body, Limits(body=len(body) - 1))
    assert (failure.status, failure.code, failure.param) == (413, "request_too_large", None)
    assert f"has {len(body)} bytes, and at most {len(body) - 1}" in failure.message
    assert Limits().body == 8 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "The body is empty"),
        (b" \n", "The body is empty"),
        (b"{", "Expecting property name enclosed in double quotes at line 1, column 2"),
        (b'{"model":"a",\n}', "at line 2, column 1"),
        (b"hello", "Expecting value at line 1, column 1"),
        (b'{"a":1}x', "Extra data at line 1, column 8"),
        (b'{"a":"\n"}', "Invalid control character at at line 1, column 7"),
        (b'{"a":"\xff"}', "It is not UTF-8: byte 6 begins no character"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"a":NaN}', "NaN is not a JSON value: numbers are finite"),
        (b'{"a":-Infinity}', "-Infinity is not a JSON value"),
        (b"[]", "It is an array, and an object was expected"),
        (b'"x"', "It is a string, and an object was expected"),
        (b"1", "It is an integer, and an object was expected"),
        (b"1.5", "It is a decimal number, and an object was expected"),
        (b"true", "It is a boolean, and an object was expected"),
        (b"null", "It is null, and an object was expected"),
        (nested(65), "Its objects and arrays nest deeper than 64 levels"),
        (b"[" * 100_000, "Its objects and arrays nest deeper than 64 levels"),
        (b'{"a":' * 100_000, "Its objects and arrays nest deeper than 64 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "Its objects and arrays nest deeper than 64 levels"),
        (b"[" * 100_000 + b"x" + b"]" * 100_000, "Its objects and arrays nest deeper than 64 levels"),
    ],
)
def test_what_is_no_json_object_is_refused_in_the_official_words(body: bytes, reason: str) -> None:
    failure = refused(body)
    assert (failure.status, failure.type) == (400, "invalid_request_error")
    assert (failure.param, failure.code) == (None, None)
    assert failure.message.startswith(HINT)
    assert reason in failure.message


def test_64_levels_are_accepted() -> None:
    assert load(nested(64), Limits()) == json.loads(nested(64))
    assert not too_deep(nested(64), 64)
    assert too_deep(nested(65), 64)


def test_brackets_in_strings_are_no_levels() -> None:
    body = with_(user='["{' * 500 + '\\"[' * 500 + "\\")
    assert parse_chat(body).request.user is not None
    assert load(encode({"[" * 100: "]" * 3, "a": ["[" * 100]}), Limits())


def depth_of(value: JsonValue) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


awkward = st.text('a[]{}"\\\n', max_size=6)


@given(
    st.recursive(awkward, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(awkward, inner, max_size=3)),
    st.integers(0, 6),
)
def test_depth_is_counted_exactly(value: JsonValue, depth: int) -> None:
    assert too_deep(encode(value), depth) == (depth_of(value) > depth)


@given(st.text('[]{}"\\a', max_size=30), st.integers(1, 8))
def test_a_parser_never_goes_deeper_into_malformed_text_than_was_allowed(text: str, depth: int) -> None:
    """A parser's depth where it must stop: at the first bracket too many, or the first stray character."""
    deepest = level = 0
    in_string = escaped = False
    for char in text:
        if in_string:
            in_string, escaped = escaped or char != '"', char == "\\" and not escaped
        elif char in "[{":
            level += 1
            deepest = max(deepest, level)
        elif char in "]}":
            level -= 1
        elif char != '"' or level < 0:
            break
        else:
            in_string = True
        if level < 0:
            break
    if not too_deep(text.encode(), depth):
        assert deepest <= depth


@pytest.mark.parametrize(("name", "most"), [("n", 8), ("top_logprobs", 20)])
def test_numbers_have_a_limit(name: str, most: int) -> None:
    value: dict[str, JsonValue] = {"logprobs": True}
    assert getattr(parse_chat(with_(**value, **{name: most})).request, name) == most
    failure = refused(with_(**value, **{name: most + 1}))
    assert (failure.status, failure.param, failure.code) == (400, name, "integer_above_max_value")
    assert failure.message == (
        f"Invalid '{name}': integer above maximum value. Expected a value <= {most}, but got {most + 1} instead."
    )


@pytest.mark.parametrize(
    ("name", "most", "item"),
    [
        ("messages", 10_000, lambda index: {"role": "user", "content": ""}),
        ("stop", 4, str),
        ("tools", 256, lambda index: {"type": "function", "function": {"name": f"f{index}"}}),
        ("functions", 128, lambda index: {"name": f"f{index}"}),
    ],
)
def test_arrays_have_a_limit(name: str, most: int, item: type[str]) -> None:
    items = [item(index) for index in range(most + 1)]
    assert len(getattr(parse_chat(with_(**{name: items[:-1]})).request, name)) == most
    failure = refused(with_(**{name: items}))
    assert (failure.status, failure.param, failure.code) == (400, name, "array_above_max_length")
    assert failure.message == (
        f"Invalid '{name}': array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {most + 1} instead."
    )


def test_limits_can_be_raised_and_lowered() -> None:
    assert parse_chat(with_(n=128), Limits(n=128)).n == 128
    assert refused(with_(n=129), Limits(n=10**6)).code == "integer_above_max_value"
    assert refused(with_(n=2), Limits(n=1)).param == "n"


def test_a_billion_choices_are_refused_without_memory() -> None:
    body = with_(n=10**9)
    refused(body)
    tracemalloc.start()
    refused(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (b"1e999", "decimal_above_max_value"),
        (b"-1e999", "decimal_below_min_value"),
        (b"9" * 5000, "decimal_above_max_value"),
        (b"-" + b"9" * 5000, "decimal_below_min_value"),
        (b"18446744073709551616", "integer_above_max_value"),
        (b"-9223372036854775809", "integer_below_min_value"),
        (b"1" + b"0" * 30, "integer_above_max_value"),
    ],
)
@pytest.mark.parametrize("place", ["temperature", "seed", "top_k", "x.y[1]"])
def test_a_number_that_no_peer_can_read_is_refused_wherever_it_is(number: bytes, code: str, place: str) -> None:
    inside = b'{"y":[0,%b]}' % number if "." in place else number
    failure = refused(
        b'{"model":"m","messages":[{"role":"user","content":""}],"%b":%b}'
        % (place[:1].encode() if "." in place else place.encode(), inside)
    )
    assert (failure.status, failure.param, failure.code) == (400, place, code)


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 1e308])
def test_64_bit_numbers_are_carried(number: float) -> None:
    assert parse_chat(with_(top_k=number)).body["top_k"] == number


def test_long_digits_in_a_string_are_no_number() -> None:
    assert parse_chat(with_(user="1" * 400)).request.user == "1" * 400


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"messages":[{"role":"user","content":"\\ud83d"}],"model":"m"}', "messages[0].content"),
        (b'{"model":"\\ude00","messages":[]}', "model"),
        (b'{"\\ud83d":1}', None),
    ],
)
def test_half_a_character_is_refused(body: bytes, param: str | None) -> None:
    failure = refused(body)
    assert (failure.status, failure.param, failure.code) == (400, param, "invalid_value")
    assert "half of a surrogate pair" in failure.message
    assert failure.message.encode()


def test_whole_pairs_are_accepted() -> None:
    assert load(b'{"a":"\\ud83d\\ude00"}', Limits()) == {"a": "\U0001f600"}


def test_of_several_over_limits_the_first_is_told_whatever_their_order() -> None:
    over: dict[str, JsonValue] = {"stop": ["x"] * 99, "messages": [None] * 99_999, "top_logprobs": 99, "n": 99}
    told = []
    for name in ("n", "top_logprobs", "messages", "stop"):
        with pytest.raises(Failure) as caught:
            refuse_over(over, Limits())
        told.append(caught.value.param)
        del over[name]
    assert told == ["n", "top_logprobs", "messages", "stop"]


@given(json_values)
def test_over_limits_looks_at_numbers_and_arrays_only(value: JsonValue) -> None:
    refuse_over({"model": value, "temperature": value}, Limits())
    if not isinstance(value, list | int):
        refuse_over(dict.fromkeys(("n", "messages", "stop", "tools", "top_logprobs"), value), Limits())
