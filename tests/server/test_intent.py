"""What a client says about coming back, read from its headers and its query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.failures import Failure
from riverrun.runs.intent import Intent
from riverrun.server.intent import cursor, intent, query


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Intent()),
        ({"idempotency-key": "k" * 255}, Intent(key="k" * 255)),
        ({"x-riverrun-on-disconnect": "finish"}, Intent(policy="finish")),
        ({"x-stainless-retry-count": "2"}, Intent(retries=2)),
        ({"x-stainless-retry-count": "many"}, Intent()),
        ({"x-stainless-retry-count": "-1"}, Intent()),
        ({"x-stainless-retry-count": "9" * 5000}, Intent()),
        ({"x-stainless-retry-count": "²"}, Intent()),
    ],
)
def test_what_headers_say(headers: dict[str, str], expected: Intent) -> None:
    assert intent(headers) == expected


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"idempotency-key": ""}, "Idempotency-Key"),
        ({"idempotency-key": "k" * 256}, "Idempotency-Key"),
        ({"idempotency-key": "a\x7fb"}, "Idempotency-Key"),
        ({"idempotency-key": "a\tb"}, "Idempotency-Key"),
        ({"idempotency-key": "é"}, "Idempotency-Key"),
        ({"x-riverrun-on-disconnect": ""}, "x-riverrun-on-disconnect"),
        ({"x-riverrun-on-disconnect": "Grace"}, "x-riverrun-on-disconnect"),
    ],
)
def test_headers_that_mean_nothing(headers: dict[str, str], param: str) -> None:
    with pytest.raises(Failure) as raised:
        intent(headers)
    assert (raised.value.status, raised.value.param, raised.value.retry) == (400, param, False)


@pytest.mark.parametrize(
    ("header", "parameter", "expected"),
    [
        (None, None, None),
        ("7", None, 7),
        (None, "7", 7),
        ("7", "7", 7),
        ("7", "07", 7),
        ("0", None, 0),
        ("", "3", 3),
        ("9" * 17, None, int("9" * 17)),
    ],
)
def test_the_cursor(header: str | None, parameter: str | None, expected: int | None) -> None:
    headers = {} if header is None else {"last-event-id": header}
    assert cursor(headers, {} if parameter is None else {"starting_after": parameter}) == expected


@pytest.mark.parametrize("text", ["-1", "x", "1.0", "1e3", " ", "+1", "٣", "9" * 18, "9" * 100_000, "1\x00", "0x1"])
def test_what_is_no_number_of_an_event(text: str) -> None:
    for headers, parameters in (
        ({"last-event-id": text}, {}),
        ({}, {"starting_after": text}),
        ({"last-event-id": "1"}, {"starting_after": text}),
    ):
        with pytest.raises(Failure) as raised:
            cursor(headers, parameters)
        assert raised.value.status == 400
        assert len(raised.value.message) < 200


def test_two_cursors_that_differ() -> None:
    with pytest.raises(Failure) as raised:
        cursor({"last-event-id": "1"}, {"starting_after": "2"})
    assert (raised.value.status, raised.value.code) == (400, "conflict")


def test_a_query() -> None:
    assert query(b"limit=3&metadata%5Ba%20b%5D=x%26y&empty=&limit=4") == {
        "limit": "4",
        "metadata[a b]": "x&y",
        "empty": "",
    }


@given(st.binary(max_size=200))
def test_any_bytes_are_a_query(text: bytes) -> None:
    for name, value in query(text).items():
        assert isinstance(name, str)
        assert isinstance(value, str)
