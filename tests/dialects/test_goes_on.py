from __future__ import annotations

import msgspec
import pytest

from riverrun.dialects.goes_on import beginning
from riverrun.stream.deltas import Text
from tests.dialects.anthropic_says import END, begin, ending, more, read, sent, start, stop
from tests.dialects.asks import ask


def said(prefill: str, *pieces: str) -> str:
    """The text of an answer that goes on with `prefill`."""
    one = msgspec.structs.replace(ask(), prefill=prefill)
    texts = [more(0, "text_delta", text=piece) for piece in pieces]
    deltas = read([start(), begin(0, "text", text=""), *texts, stop(0), ending("end_turn"), END], one=one)
    return "".join(msgspec.json.decode(each.literal, type=str) for each in deltas if isinstance(each, Text))


def test_white_space_at_the_end_is_not_sent() -> None:
    assert beginning("One.\n\n") == "One."
    one = msgspec.structs.replace(ask(), prefill="One. ")
    assert sent(one)["messages"][-1]["content"] == [{"type": "text", "text": "One."}]
    assert len(sent(msgspec.structs.replace(ask(), prefill=" \n"))["messages"]) == 1


@pytest.mark.parametrize(
    ("prefill", "pieces", "new"),
    [
        ("One.\n\n", ["\n\nTwo"], "Two"),
        ("One.\n\n", ["\n", "\n", "Two\n", "\n"], "Two\n\n"),
        ("One.\n\n", ["\n\n\nTwo"], "\nTwo"),
        ("One.\n\n", ["Two"], "Two"),
        ("One.\n\n", [" Two"], " Two"),
        ("One.", ["\n\nTwo"], "\n\nTwo"),
        (" ", [" x"], " x"),
    ],
)
def test_what_the_client_has_seen_is_not_said_twice(prefill: str, pieces: list[str], new: str) -> None:
    assert said(prefill, *pieces) == new
