"""Whatever comes, the judge judges: it never raises, and says something of every rule."""

from __future__ import annotations

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from riverrun.conformance import Capture, judge
from riverrun.conformance.cases import RULES
from riverrun.conformance.exchanges import BY_NAME
from riverrun.conformance.reading import Reading, parsed
from riverrun.conformance.report import REPORTS
from riverrun.wire.jsonvalue import JsonValue
from tests.conformance import streams

NUMBERS: list[JsonValue] = [0, -1, 1.5, 10**30, True, False]
TEXTS: list[JsonValue] = ["", "x", "\ud800", "null", None]
HOLDERS: list[JsonValue] = [[], [None], [[]], [{}], {}, {"index": "0"}, {"index": -1}]
ODD: st.SearchStrategy[JsonValue] = st.sampled_from([*NUMBERS, *TEXTS, *HOLDERS])
PIECES = [b"data: ", b"{", b"}", b"[DONE]", b"\n", b"\r", b": ", b"id: 1", b"\xff"]
SOURCES = [streams.text(), streams.calls(), streams.three(), streams.logprobs()]


def places(value: JsonValue, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all values inside a value."""
    inner: list[tuple[str | int, JsonValue]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(found for key, one in inner for found in places(one, (*path, key)))]


def put(value: JsonValue, path: tuple[str | int, ...], odd: JsonValue) -> None:
    """Replace what stands at a path."""
    for key in path[:-1]:
        value = value[key]  # type: ignore[index]  # the path came from `places`
    value[path[-1]] = odd  # type: ignore[index]  # the same


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_judged(data: st.DataObject) -> None:
    chunks: list[JsonValue] = [*copy.deepcopy(data.draw(st.sampled_from(SOURCES)))]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in places(chunks) if path]))
        put(chunks, path, copy.deepcopy(data.draw(ODD)))
    body = b"".join(streams.event(one) for one in chunks) + b"data: [DONE]\n\n"
    asked = data.draw(st.sampled_from([streams.WITH_USAGE, streams.TOOLS_ASK, streams.LOGPROBS_ASK, streams.ASK]))
    findings = judge(streams.captured(body, asked), [streams.whole()])
    assert len(findings) == len(RULES)
    for name in ("json", "junit", "markdown"):
        assert REPORTS[name](findings, True).encode()


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.lists(st.sampled_from(PIECES)).map(b"".join),
    st.sampled_from([0, 200, 400, 404, 500]),
    st.sampled_from(["", *BY_NAME]),
    st.sampled_from([None, b"", b"[]", b'{"stream": true}', b'{"stream": true, "n": -3, "stop": [1]}']),
)  # fmt: skip
def test_any_bytes_are_judged(body: bytes, status: int, exchange: str, request: bytes | None) -> None:
    capture = Capture(request=request, status=status, blocks=((0.1, body),), ended="complete", exchange=exchange)
    assert len(judge(capture, [capture])) == len(RULES)


def test_json_is_read_strictly() -> None:
    assert json.dumps(parsed(b'{"a": "\\ud83d"}')) == '{"a": "\\ud83d"}'
    for wrong in (b"NaN", b'{"a": Infinity}', b"{", b""):
        assert Reading(Capture(blocks=((0.0, b"data: %b\n\n" % wrong),))).chunks == []
