"""The second opinion: openai-python's accumulator, the product's fold and the judge's own fold agree."""

from __future__ import annotations

import json

import msgspec
import pytest

from riverrun.conformance import Capture
from riverrun.conformance.answer import Answer, answer, of_whole
from riverrun.conformance.reading import Reading
from riverrun.conformance.second import Differs, compare, opinion
from riverrun.wire.chunk import DONE
from riverrun.wire.fold import fold
from tests.conformance import mutations, streams
from tests.conformance.test_judge import REAL, official, recorded

FOREIGN = {"audio", "custom tool"}
"""Official streams with chunks that riverrun never writes: no finish_reason key, calls of custom tools."""
FINISHED = {name: capture for name, capture in streams.healthy().items() if "error" not in name}


def product(capture: Capture) -> Answer:
    """What riverrun answers to whoever does not stream."""
    events = [chunk.frame.data for chunk in Reading(capture).chunks]
    return of_whole(json.loads(msgspec.json.encode(fold([*events, DONE]))))


@pytest.mark.parametrize("name", sorted(set(FINISHED) - FOREIGN))
def test_the_product_folds_as_the_judge_does(name: str) -> None:
    assert product(FINISHED[name]) == answer(Reading(FINISHED[name]))


@pytest.mark.parametrize("name", sorted(set(FINISHED) - {"moderation", "custom tool"}))
def test_openai_python_folds_as_the_judge_does(name: str) -> None:
    compare(FINISHED[name])


@pytest.mark.skipif(not REAL, reason="the recordings are not here")
def test_three_folds_agree_on_real_streams() -> None:
    for path in REAL:
        if official(path):
            capture = recorded(path)
            compare(capture)
            assert product(capture) == answer(Reading(capture))


@pytest.mark.parametrize(
    ("rule", "seen"),
    [("O2", "role"), ("T3", "calls is"), ("T3", "ids is"), ("N2", "openai-python fails"), ("O6", "fails")],
)
def test_what_types_cannot_see_is_a_difference(rule: str, seen: str) -> None:
    found = []
    for make in mutations.STREAMS[rule]:
        try:
            compare(make())
        except Differs as difference:
            found.append(str(difference))
    assert any(seen in one for one in found), found


def test_the_ids_of_calls_are_compared() -> None:
    two = streams.captured(streams.calls(), streams.TOOLS_ASK)
    assert answer(Reading(two)).choices[0].ids == ("call_a", "call_b")
    assert product(two).choices[0].ids == ("call_a", "call_b")


def test_an_opinion_leaves_out_what_did_not_finish() -> None:
    cut = Capture(blocks=((0.0, streams.rendered(streams.text()[:3], b"")),), ended="cut", exchange="cut")
    wrong = mutations.STREAMS["O2"][0]()
    lines = opinion([cut, streams.captured(streams.text()), wrong])
    assert lines is not None
    assert [line.split(":")[0] for line in lines] == ["the stream"]
