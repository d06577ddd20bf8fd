"""How long a target may take for one request."""

import json

import msgspec
import pytest

from riverrun.config import DeadlinesConfig
from riverrun.config.values import decode
from riverrun.routing.deadlines import HOSTED, THINKING, given, patient
from riverrun.routing.target import Deadlines, Target
from riverrun.wire.request import parse_chat


def said(**written: object) -> DeadlinesConfig:
    return msgspec.convert(written, DeadlinesConfig, dec_hook=decode)


def test_what_is_not_said_is_as_usual_and_the_last_word_counts() -> None:
    assert given(HOSTED, said()) == Deadlines(5.0, 30.0, 15.0, 600.0)
    assert given(THINKING, said(idle="1m", total="off"), said(idle="2s")) == Deadlines(5.0, 300.0, 2.0, None)


@pytest.mark.parametrize(
    ("effort", "patience"),
    [(None, 30.0), ("none", 30.0), ("minimal", 30.0), ("low", 300.0), ("medium", 300.0), ("high", 300.0)],
)
def test_a_request_that_makes_it_think_gives_it_time(effort: str | None, patience: float) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": effort}
    chat = parse_chat(json.dumps(body).encode())
    target = Target("a/m", "m", "", "compatible", deadlines=HOSTED, thinking=THINKING)
    same = msgspec.structs.replace(target, thinking=None)
    first, second = patient([target, same], chat)
    assert first.deadlines.first_token == patience
    assert second is same
