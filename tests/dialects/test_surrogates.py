from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun.dialects.surrogates import LoneSurrogate, Surrogates


def event(text: str, field: str = "content", index: int = 0) -> bytes:
    return json.dumps({"choices": [{"index": index, "delta": {field: text}}]}).encode()


def content(data: bytes, field: str = "content") -> str:
    text = json.loads(data)["choices"][0]["delta"][field]
    assert isinstance(text, str)
    return text


@given(st.text(), st.data())
def test_any_text_cut_between_any_two_code_units_is_whole_again(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    cut = 2 * data.draw(st.integers(0, len(units) // 2))
    halves = [part.decode("utf-16-le", "surrogatepass") for part in (units[:cut], units[cut:])]
    pairs = Surrogates()
    mended = [content(pairs.mended(event(half))) for half in halves]
    assert "".join(mended) == text
    assert not pairs.held


def test_halves_are_held_by_choice_and_field() -> None:
    pairs = Surrogates()
    pairs.mended(event("\ud83d"))
    pairs.mended(event("\ud83c", index=1))
    assert content(pairs.mended(event("\udf0a", index=1))) == "🌊"
    assert pairs.held
    assert content(pairs.mended(event("\ude00"))) == "😀"


def test_arguments_are_mended_too() -> None:
    def call(arguments: str) -> bytes:
        calls = [{"index": 0, "function": {"arguments": arguments}}]
        old = {"name": "f", "arguments": arguments}
        delta = {"tool_calls": calls, "function_call": old}
        return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode()

    pairs = Surrogates()
    pairs.mended(call("\ud83d"))
    delta = json.loads(pairs.mended(call("\ude00")))["choices"][0]["delta"]
    assert delta["tool_calls"][0]["function"]["arguments"] == "😀"
    assert delta["function_call"]["arguments"] == "😀"


def test_a_delta_that_is_a_text_itself_is_mended_by_its_place() -> None:
    def event_of(place: int, delta: str) -> bytes:
        return json.dumps({"type": "response.output_text.delta", "output_index": place, "delta": delta}).encode()

    pairs = Surrogates()
    assert json.loads(pairs.mended(event_of(0, "a\ud83d")))["delta"] == "a"
    assert json.loads(pairs.mended(event_of(1, "x")))["delta"] == "x"
    assert json.loads(pairs.mended(event_of(0, "\ude00")))["delta"] == "😀"
    assert not pairs.held


@pytest.mark.parametrize("text", ["\ude00", "\ud83dx", "a\ud83d\ud83db"])
def test_a_half_without_its_other_is_refused(text: str) -> None:
    with pytest.raises(LoneSurrogate):
        Surrogates().mended(event(text))


def test_a_half_that_waits_when_the_choice_finishes_is_refused() -> None:
    pairs = Surrogates()
    pairs.mended(event("\ud83d"))
    with pytest.raises(LoneSurrogate):
        pairs.mended(b'{"choices":[{"index":0,"finish_reason":"stop"}]}')


def test_other_fields_are_made_harmless() -> None:
    data = json.loads(Surrogates().mended(b'{"id":"a\\ud83d","x":[{"\\ud83d":1}],"n":1.5}'))
    assert data["id"] == "a�"
    assert data["n"] == 1.5


@pytest.mark.parametrize("data", [b"[]", b"5", b'{"choices":[5,{"delta":5},{"delta":{"tool_calls":[5]}}]}'])
def test_other_shapes_are_left_to_the_reader(data: bytes) -> None:
    assert json.loads(Surrogates().mended(data)) == json.loads(data)
