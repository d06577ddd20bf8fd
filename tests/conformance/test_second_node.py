"""The second opinion of the other official client: openai-node's decoder and accumulator fold as the judge does.

That the product's own fold agrees with the judge's is test_second.py's to show.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess

import msgspec
import pytest

from riverrun.conformance import Capture
from riverrun.conformance.answer import Answer, answer, of_whole
from riverrun.conformance.cases import RULES
from riverrun.conformance.reading import Object, Reading, mapping
from tests.clients import environments
from tests.conformance import mutations, streams
from tests.conformance.test_judge import REAL, official, recorded

PROGRAM_LIMIT = 120.0
"""Seconds for all streams; they take about one."""

WITHOUT_USAGE = {"moderation", "test-openai-test-openai-moderation-stream-0.stream.json"}
"""Official streams whose usage it forgets: the chunk that follows has `usage: null` (rule O11)."""

BROKEN_OFF = {"an error in the middle": "Cut."}
"""Streams that it must refuse, and with which words."""

NOT_IN_A_FOLD = {
    "O8": "the done events fired too early, and the folded answer does not show it",
    "E7": "how long it waits before it asks again is not in an answer",
}
"""Rules that say it breaks, where its folded answer cannot show it."""

HEALTHY = streams.healthy()
RECORDED = {path.name: recorded(path) for path in REAL if official(path)}
MUTATED = {f"{rule}:{number}": make() for rule, makes in mutations.STREAMS.items() for number, make in enumerate(makes)}
ITS_RULES = [one.id for one in RULES if "openai-node" in one.breaks and one.id not in NOT_IN_A_FOLD]

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(os.environ.get("RIVERRUN_SKIP_CLIENTS") == "1", reason="RIVERRUN_SKIP_CLIENTS=1"),
]

Folds = dict[str, Object]


@pytest.fixture(scope="module")
def folds() -> Folds:
    """What openai-node makes of every stream, by name: {name, completion} or {name, error}. One process for all."""
    captures = {**HEALTHY, **RECORDED, **MUTATED}
    program = environments.program_beside_modules("openai-node").with_name("fold.mjs")
    done = subprocess.run(
        [str(environments.node()), str(program)],
        input=json.dumps([asked(name, capture) for name, capture in captures.items()]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PROGRAM_LIMIT,
        check=False,
    )
    told: list[Object] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(captures), f"exit code {done.returncode}; it said:\n{done.stderr}"
    return {str(one["name"]): one for one in told}


def asked(name: str, capture: Capture) -> Object:
    """One stream as fold.mjs reads it."""
    request = json.loads(capture.request or json.dumps(streams.ASK))
    return {"name": name, "request": request, "body": base64.b64encode(capture.body).decode()}


def folded(fold: Object) -> Answer:
    """The answer in a fold."""
    assert "error" not in fold, fold
    return of_whole(mapping(fold["completion"]))


def judged(name: str, capture: Capture) -> Answer:
    """The judge's own fold."""
    told = answer(Reading(capture))
    return msgspec.structs.replace(told, usage=()) if name in WITHOUT_USAGE else told


@pytest.mark.parametrize("name", sorted(set(HEALTHY) - set(BROKEN_OFF)))
def test_openai_node_folds_as_the_judge_does(folds: Folds, name: str) -> None:
    assert folded(folds[name]) == judged(name, HEALTHY[name])


@pytest.mark.skipif(not RECORDED, reason="the recordings are not here")
def test_openai_node_folds_real_streams_as_the_judge_does(folds: Folds) -> None:
    assert len(RECORDED) >= 20
    wrong = {name for name, capture in RECORDED.items() if folded(folds[name]) != judged(name, capture)}
    assert wrong == set()


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_openai_node_refuses_what_broke_off(folds: Folds, name: str) -> None:
    assert str(folds[name]["error"]).endswith(BROKEN_OFF[name])


@pytest.mark.parametrize("rule", ITS_RULES)
def test_openai_node_breaks_where_the_rules_say_so(folds: Folds, rule: str) -> None:
    names = [name for name in MUTATED if name.startswith(f"{rule}:")]
    assert [name for name in names if "error" in folds[name] or folded(folds[name]) != answer(Reading(MUTATED[name]))]
