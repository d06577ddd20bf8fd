"""The checker on riverrun's own server before upstreams that fail: what a healthy model does not exercise."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, steps
from riverrun.conformance import Capture, Finding, failures, judge
from riverrun.conformance.exchanges import SHORT, USAGE, Body, Exchange, function
from riverrun.conformance.judge import judge_all
from riverrun.conformance.probe import Endpoint, probe
from riverrun.failures import Cause, Failure
from riverrun.stream.deltas import Delta, Finish, Open, Text, ToolArgs, ToolOpen, Usage
from riverrun.wire.jsonvalue import JsonValue
from tests.runs.scenes import Scene
from tests.server.served import run
from tests.server.test_app import served

STREAMED: Body = {**SHORT, **USAGE}
CALLING: Body = {**STREAMED, "tools": [function("get_weather")]}
LEGACY: Body = {**STREAMED, "functions": [{"name": "get_weather", "parameters": {"type": "object"}}]}

OPENED: tuple[Delta, ...] = (Open(0), Text(0, b'"Hel"'))
HALF_A_CALL: tuple[Delta, ...] = (Open(0), ToolOpen(0, 0, "call_1", "get_weather"), ToolArgs(0, 0, b'"{\\"ci"'))
A_CALL: tuple[Delta, ...] = (*HALF_A_CALL, ToolArgs(0, 0, b'"ty\\":\\"Rome\\"}"'), Finish(0, "tool_calls"), Usage(9, 5))

BUSY = Fail(Failure(Cause.UPSTREAM_BUSY, "The upstream is busy; ask again later.", retry_after=3.0))
BROKE = Fail(Failure(Cause.UPSTREAM_INTERRUPTED, "The upstream hung up in the middle of its answer."))

EARLY: dict[str, tuple[Script, Body]] = {
    "busy": (steps(BUSY), STREAMED),
    "broken off": (steps(BROKE), STREAMED),
    "broken off after it accepted": (steps(Say((Open(0),)), BROKE), STREAMED),
    "ended with nothing": (steps(Say((Open(0),)), End()), STREAMED),
}
"""Upstreams that fail before any content."""

LATE: dict[str, tuple[Script, Body]] = {
    "failed after content": (steps(Say(OPENED), BROKE), STREAMED),
    "busy after content": (steps(Say(OPENED), BUSY), STREAMED),
    "cut after content": (steps(Say(OPENED)), STREAMED),
    "ended without a finish": (steps(Say(OPENED), End()), STREAMED),
    "failed inside a call": (steps(Say(HALF_A_CALL), BROKE), CALLING),
    "cut inside a call": (steps(Say(HALF_A_CALL)), CALLING),
    "ended inside a call": (steps(Say(HALF_A_CALL), End()), CALLING),
    "failed inside a legacy call": (steps(Say(HALF_A_CALL), BROKE), LEGACY),
    "one choice of two unfinished": (
        steps(Say((*OPENED, Open(1), Text(1, b'"Hel"'), Finish(1, "stop"))), End()),
        {**STREAMED, "n": 2},
    ),
}
"""Upstreams that fail after their first content."""


def played(script: Script, *bodies: Body) -> list[Capture]:
    """What riverrun answers to these requests, before an upstream that plays the script."""

    async def main() -> list[Capture]:
        async with served(Scene(script)) as address:
            endpoint = Endpoint(url=f"http://{address.host}:{address.port}/v1", model="tiny", timeout=10.0)
            exchanges = [Exchange(f"request {number}", body) for number, body in enumerate(bodies)]
            return await probe(endpoint, exchanges, lambda done, of, name: None)

    return run(main())


def outcomes(findings: Sequence[Finding]) -> dict[str, str]:
    """What each rule says, without the silent ones; nothing at all may be broken."""
    assert {one.rule.id: one.note for one in failures(findings)} == {}
    return {one.rule.id: one.outcome for one in findings if one.outcome != "not exercised"}


@pytest.mark.parametrize("name", EARLY)
def test_a_failure_before_content_keeps_every_rule(name: str) -> None:
    (capture,) = played(*EARLY[name])
    assert capture.status >= 400
    assert {"E1", "E2", "E7"} <= set(outcomes(judge(capture)))


@pytest.mark.parametrize("name", LATE)
def test_a_failure_after_content_keeps_every_rule(name: str) -> None:
    (capture,) = played(*LATE[name])
    assert (capture.status, capture.ended) == (200, "cut")
    assert {"E2", "E3", "E4", "E5", "E6"} <= set(outcomes(judge(capture)))


def test_a_legacy_function_call_keeps_every_rule() -> None:
    whole: dict[str, JsonValue] = {name: value for name, value in LEGACY.items() if name not in USAGE}
    captures = played(steps(Say(A_CALL), End()), LEGACY, whole)
    assert [capture.ended for capture in captures] == ["complete", "complete"]
    assert "T13" in outcomes(judge_all(captures))
    assert b'"finish_reason":"function_call"' in captures[0].body
