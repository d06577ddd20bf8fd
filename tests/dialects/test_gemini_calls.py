from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from riverrun.dialects.gemini_calls import CallReader
from riverrun.dialects.gemini_events import FunctionCall
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, ToolArgs, ToolOpen


def read(*calls: dict[str, Any]) -> tuple[list[Delta], CallReader]:
    reader, out = CallReader("chatcmpl-1", 0), list[Delta]()
    for call in calls:
        reader.read(msgspec.json.decode(json.dumps(call), type=FunctionCall), out)
    return out, reader


def piece(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
    return {"partialArgs": [{"jsonPath": path, **value}], "willContinue": more}


def test_whole_calls_are_numbered_and_get_ids() -> None:
    deltas, reader = read({"name": "f", "args": {"a": 1}, "id": "x"}, {"name": "g", "args": {}}, {"name": "h"})
    opened = [each for each in deltas if isinstance(each, ToolOpen)]
    assert [(each.call, each.name) for each in opened] == [(0, "f"), (1, "g"), (2, "h")]
    assert opened[0].id == "x"
    assert opened[1].id.startswith("call_")
    assert opened[1].id != opened[2].id
    assert [json.loads(each.literal) for each in deltas if isinstance(each, ToolArgs)] == ['{"a":1}', "{}"]
    assert not reader.open


def test_a_call_in_pieces_is_told_when_it_is_complete() -> None:
    deltas, reader = read(
        {"name": "f", "willContinue": True},
        piece("$.city", stringValue="Par"),
        piece("$.city", stringValue="is é"),
        piece("$.at[1].x", numberValue=5),
        piece("$['a.b']", boolValue=True),
        piece('$["none"]', nullValue="NULL_VALUE"),
        piece("$.last", more=False, numberValue=0.5),
        {},
    )
    assert isinstance(deltas[0], ToolOpen)
    assert isinstance(deltas[1], ToolArgs)
    assert len(deltas) == 2
    assert json.loads(json.loads(deltas[1].literal)) == {
        "city": "Paris é", "at": [None, {"x": 5}], "a.b": True, "none": None, "last": 0.5
    }  # fmt: skip
    assert not reader.open


def test_a_call_that_waits_for_more_is_open() -> None:
    deltas, reader = read({"name": "f", "willContinue": True}, piece("$.a", stringValue="x"))
    assert reader.open
    assert not any(isinstance(each, ToolArgs) for each in deltas)


@pytest.mark.parametrize(
    "calls",
    [
        [{"args": {"a": 1}}],
        [piece("$.a", stringValue="x")],
        [{"name": "f", "willContinue": True}, piece("a", stringValue="x")],
        [{"name": "f", "willContinue": True}, piece("$..a", stringValue="x")],
        [{"name": "f", "willContinue": True}, piece("$.a", stringValue="x"), piece("$.a.b", stringValue="x")],
        [{"name": "f", "willContinue": True}, piece("$.a[999999999]", stringValue="x")],
    ],
)
def test_what_makes_no_call_is_malformed(calls: list[dict[str, Any]]) -> None:
    with pytest.raises(Failure) as caught:
        read(*calls)
    assert caught.value.cause is Cause.UPSTREAM_MALFORMED
