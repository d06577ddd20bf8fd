"""No false alarm: what is right is never called wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from riverrun.conformance import Capture, failures, judge
from riverrun.conformance.judge import chosen, summed
from tests.conformance import streams

RECORDINGS = Path(__file__).parents[2] / "../shared/recordings/openai"
REAL = sorted(RECORDINGS.glob("*.stream.json"))


def recorded(path: Path) -> Capture:
    """A recording as a capture."""
    told = json.loads(path.read_bytes())
    return Capture(
        request=json.dumps(told["request"]).encode(),
        status=told["status"],
        headers=(("content-type", told["content_type"]),),
        blocks=((0.1, told["body"].encode()),),
        ended="complete",
    )


def official(path: Path) -> bool:
    """Whether a recording is OpenAI's own."""
    return str(json.loads(path.read_bytes())["url"]).startswith("https://api.openai.com/")


def shown(capture: Capture, *beside: Capture) -> dict[str, str]:
    """The violations that were found."""
    return {found.rule.id: found.note for found in failures(judge(capture, beside))}


@pytest.mark.skipif(not REAL, reason="the recordings are not here")
def test_real_openai_streams_break_no_rule() -> None:
    own = [path for path in REAL if official(path)]
    assert len(own) >= 20
    assert {path.name: shown(recorded(path)) for path in own if shown(recorded(path))} == {}


@pytest.mark.skipif(not REAL, reason="the recordings are not here")
def test_known_deviants_among_the_recordings_are_caught() -> None:
    found = {path.name: set(shown(recorded(path))) for path in REAL if not official(path)}

    def of(part: str) -> set[str]:
        return next(ids for name, ids in found.items() if part in name)

    assert {"O2", "O7", "O8", "U2"} <= of("openrouter-stream-with-reasoning")
    assert {"O5", "U1"} <= of("mistral-model-thinking")
    assert {"I1", "I2", "O1"} <= of("groq-model-web-search-tool-stream")


@pytest.mark.parametrize("name", streams.healthy())
def test_streams_after_the_official_documents_break_no_rule(name: str) -> None:
    assert shown(streams.healthy()[name], streams.whole(), streams.captured(streams.text())) == {}


def test_every_block_border_gives_the_same_findings() -> None:
    body = streams.rendered(streams.text(["a", "👩", "b"]))
    whole = shown(streams.captured(body))
    for cut in range(1, len(body), 7):
        split = streams.captured(body, blocks=((0.01, body[:cut]), (0.02, body[cut:])))
        assert shown(split) == whole == {}


def test_a_cut_connection_is_not_a_false_ending() -> None:
    body = streams.rendered(streams.text())[:700]
    capture = Capture(request=json.dumps(streams.WITH_USAGE).encode(), blocks=((0.0, body),), ended="cut")
    assert shown(capture) == {}


def test_not_exercised_says_why() -> None:
    found = {one.rule.id: one for one in judge(streams.captured(streams.text()))}
    assert (found["T1"].outcome, found["T1"].note) == ("not exercised", "no tool call came")
    assert (found["N4"].outcome, found["N4"].note) == ("not exercised", "one choice was asked for")
    assert all(one.note for one in found.values() if one.outcome == "not exercised")


def test_a_bare_stream_is_judged_without_its_request() -> None:
    found = {one.rule.id: one.outcome for one in judge(Capture(blocks=((0.0, streams.rendered(streams.three())),)))}
    assert found["N2"] == found["U2"] == found["O10"] == "pass"
    assert found["N3"] == found["U1"] == "not exercised"


def test_rules_are_chosen_by_family_or_id() -> None:
    assert [one.id for one in chosen(["u", "T2"])] == ["T2", "U1", "U2", "U3"]
    with pytest.raises(ValueError, match="Z9"):
        chosen(["Z9"])


def test_a_failure_beats_a_pass_and_a_pass_beats_silence() -> None:
    good, bad = streams.captured(streams.calls(), streams.TOOLS_ASK), streams.captured(streams.text())
    by_id = {one.rule.id: one.outcome for one in summed([*judge(bad), *judge(good)])}
    assert by_id["T1"] == "pass"
    wrong = streams.captured(b"\xef\xbb\xbf" + streams.rendered(streams.text()))
    assert {one.rule.id: one.outcome for one in summed([*judge(good), *judge(wrong)])}["F8"] == "fail"
