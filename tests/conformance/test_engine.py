"""The checker on the embedded model: riverrun breaks no rule, and the engine that it mends is caught."""

from __future__ import annotations

import asyncio

import pytest

from riverrun.conformance import failures
from riverrun.conformance.exchanges import BY_NAME, SHORT, USAGE, Exchange
from riverrun.conformance.judge import judge_all
from riverrun.conformance.probe import Endpoint, examine, probe
from riverrun.conformance.second import opinion
from tests.engine.real import run
from tests.engine.test_engine_backend import ask, running

pytestmark = pytest.mark.engine

SILENT = {
    "T13": "no legacy function_call came",
    "E3": "no error came inside the stream",
    "E4": "the stream has its [DONE]",
    "E5": "the stream has its [DONE]",
}
"""What a healthy server does not exercise, and why."""


def test_riverrun_keeps_every_rule(server_url: str) -> None:
    captures, findings = asyncio.run(examine(Endpoint(url=server_url, model="smollm2-135m")))
    assert {one.rule.id: f"{one.exchange}: {one.note}" for one in failures(findings)} == {}
    silent = {one.rule.id: one.note for one in findings if one.outcome == "not exercised"}
    assert {id: note for id, note in silent.items() if id != "F17"} == SILENT  # F17 needs a slow stream
    assert opinion(captures) == []


def test_the_raw_engine_is_caught() -> None:
    async def test() -> None:
        async with running() as engine:
            heard = ask(engine)
            await heard.finished()
            socket = heard.targets[0].base_url.split(":")[1]
            endpoint = Endpoint(url="http://engine/v1", model="m", socket=socket)
            wanted = [BY_NAME[name] for name in ("text", "flow", "unknown-model")]
            wanted.append(Exchange("two", {**SHORT, **USAGE, "n": 2, "temperature": 1}))
            captures = await probe(endpoint, wanted, lambda done, of, name: None)
            found = {one.rule.id: one.note for one in failures(judge_all(captures))}
            assert found["I2"].startswith("created changes from")
            assert found["O4"] == "choice 0 opens with content None"
            assert {"U2", "B9"} <= set(found)
            assert {"O1", "N2", "N4"} & set(found)  # which of them depends on which choice comes first
            assert not {"F4", "F8", "F10", "F11", "F12", "I1", "I3", "I4", "I6", "O5", "U3", "N1"} & set(found)

    run(test)
