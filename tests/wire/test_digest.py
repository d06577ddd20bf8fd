"""Two requests are one where they mean the same, and never where they differ."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Cause, Failure
from riverrun.wire.digest import HEADER, alike, check_key, digest, key_digest
from riverrun.wire.request import parse_chat

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Grüße"}], "temperature": 0.7, "seed": 5}


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": True},
        {"stream": False},
        {"user": "u"},
        {"stream_options": {"include_usage": True}},
        {"stream_options": {"include_usage": True}, "stream": False},
        {"stream_options": {"include_usage": True}, "stream": True},
        {"seed": 5.0},
    ],
    ids=str,
)
def test_the_same_request(changes: dict[str, Any]) -> None:
    assert alike(digest({**BODY, **changes}), digest(BODY))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "n"},
        {"messages": []},
        {"seed": 6},
        {"seed": "5"},
        {"seed": None},
        {"n": 1},
        {"temperature": 0.7000000000000001},
        {"metadata": {"user": "u", "stream": "x"}},
    ],
    ids=str,
)
def test_another_request(changes: dict[str, Any]) -> None:
    assert not alike(digest({**BODY, **changes}), digest(BODY))


def test_streaming_callers_compare_their_stream_options() -> None:
    asked = {**BODY, "stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}}
    turned = {**BODY, "stream": True, "stream_options": {"include_obfuscation": False, "include_usage": True}}
    other = {**asked, "stream_options": {"include_usage": False}}
    assert alike(digest(asked), digest(turned))
    assert not alike(digest(asked), digest(other))
    assert alike(digest(asked), digest({**other, "stream": False}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (0, -0.0),
        (2**53, float(2**53)),
        (100, 1e2),
        (10**22, 1e22),
    ],
)
def test_numbers_are_equal_by_their_value(one: float, other: float) -> None:
    assert digest({"x": [{"y": one}]}) == digest({"x": [{"y": other}]})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (2**53, 2**53 + 1),
        (2**53 + 1, float(2**53)),
        (2**63, 2**63 - 1),
        (10**30, 10**30 + 1),
        (0.1, 0.1 + 2**-56),
        (1, True),
        (0, False),
        (0, None),
        (1, "1"),
        ([], {}),
        ("", None),
    ],
)
def test_no_two_values_that_differ_are_equal(one: Any, other: Any) -> None:
    assert digest({"x": one}) != digest({"x": other})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=6), values, max_size=4)


@given(bodies, st.randoms(), st.booleans())
def test_order_white_space_and_escapes_do_not_matter(body: Any, random: Any, escaped: bool) -> None:
    names = list(body)
    random.shuffle(names)
    text = json.dumps({name: body[name] for name in names}, indent=3, ensure_ascii=escaped)
    assert digest(json.loads(text)) == digest(body)


@given(bodies, bodies)
def test_equal_digests_mean_equal_bodies(one: Any, other: Any) -> None:
    for body in (one, other):
        for name in ("stream", "user", "stream_options"):
            body.pop(name, None)
    assert (digest(one) == digest(other)) == (_told_apart(one) == _told_apart(other))


def _told_apart(value: Any) -> Any:
    """A value that Python compares as JSON does: True is no 1."""
    if isinstance(value, dict):
        return {name: _told_apart(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_told_apart(item) for item in value]
    return ("a boolean", value) if isinstance(value, bool) else value


def test_a_body_as_it_was_parsed_has_a_digest() -> None:
    sent = json.dumps({**BODY, "top_k": 3, "stream": True}).encode()
    assert alike(digest(parse_chat(sent).body), digest({**BODY, "top_k": 3}))


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_a_key_is_its_tenants_own(tenant: str, key: str, other: str, another: str) -> None:
    assert len(key_digest(tenant, key)) == 64
    assert (key_digest(tenant, key) == key_digest(other, another)) == ((tenant, key) == (other, another))


def test_no_separator_can_be_forged() -> None:
    assert len({key_digest("a", "bc"), key_digest("ab", "c"), key_digest("", "abc"), key_digest("1:a", "bc")}) == 4


@pytest.mark.parametrize("key", ["k", "x" * 255, "4f0c9d3e-2e0a-4f0b-9a59-9d3b6f1f2c11", "with space", "~!"])
def test_a_key_that_is_one(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "it is empty"),
        ("x" * 256, "256 characters, and 255 are allowed"),
        ("tab\there", "printable ASCII"),
        ("line\nbreak", "printable ASCII"),
        ("nul\0", "printable ASCII"),
        ("del\x7f", "printable ASCII"),
        ("ключ", "printable ASCII"),
        ("\ud800", "printable ASCII"),
    ],
)
def test_a_key_that_is_none_is_a_400_that_names_the_header_and_not_the_key(key: str, why: str) -> None:
    with pytest.raises(Failure, match=why) as caught:
        check_key(key)
    assert caught.value.cause is Cause.BAD_REQUEST
    assert caught.value.param == HEADER
    assert HEADER in caught.value.message
    assert not key or key not in caught.value.message
