"""The probe on real sockets: a healthy endpoint breaks no rule, and one with one defect breaks the one rule."""

from __future__ import annotations

import asyncio
import json

import pytest

from riverrun.conformance import Capture, Finding, failures
from riverrun.conformance.cases import RULES
from riverrun.conformance.exchanges import BAD, EXCHANGES, GOOD, Exchange
from riverrun.conformance.judge import judge_all
from riverrun.conformance.probe import Endpoint, Unreachable, examine, probe, wanted
from tests.conformance import scripted
from tests.conformance.test_rules import BY_ID, BY_SERVER

SERVED = (*GOOD, *BAD)


def quiet(done: int, of: int, name: str) -> None:
    """No progress is shown."""


def played(defect: str, exchanges: tuple[Exchange, ...] = SERVED) -> list[Capture]:
    """The captures of a scripted endpoint."""

    async def run() -> list[Capture]:
        async with scripted.endpoint(defect) as url:
            return await probe(Endpoint(url=url, model="scripted", timeout=10), exchanges, quiet)

    return asyncio.run(run())


def broken(captures: list[Capture]) -> dict[str, str]:
    """What fails, by rule."""
    return {one.rule.id: f"{one.exchange}: {one.note}" for one in failures(judge_all(captures))}


def test_a_healthy_endpoint_breaks_no_rule_and_exercises_most() -> None:
    findings = judge_all(played("", EXCHANGES))
    assert {one.rule.id: one.note for one in failures(findings)} == {}
    silent = {one.rule.id for one in findings if one.outcome == "not exercised"}
    assert silent == {"F17", "T13", "E3", "E4", "E5"}


@pytest.mark.parametrize("defect", [f"{rule}:{number}" for rule in sorted(BY_SERVER) for number in (0, 1)])
def test_a_server_with_one_defect_breaks_one_rule(defect: str) -> None:
    rule = defect.partition(":")[0]
    found = broken(played(defect))
    assert rule in found
    assert set(found) - {rule} <= set(BY_ID[rule].entails), found


def test_a_server_that_goes_on_for_nobody_is_caught() -> None:
    exchanges = tuple(wanted([one for one in RULES if one.id == "C1"]))
    assert set(broken(played("C1:0", exchanges))) == {"C1"}


def test_a_server_that_hangs_up_after_each_answer_is_caught() -> None:
    assert set(broken(played("C4:0", GOOD[:3]))) == {"C4"}


def against(*answer: bytes, close: bool = True, key: str = "", heads: list[bytes] | None = None) -> Capture:
    """The capture of a server that sends these writes, whatever it is asked. `heads` gets what it was asked with."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        for block in answer:
            writer.write(block)
            await writer.drain()
        if not close:
            await scripted.gone(reader)
        await scripted.closed(writer)
        over.set()

    over = asyncio.Event()

    async def run() -> Capture:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            captures = await probe(Endpoint(url=url, model="m", key=key, timeout=0.5), GOOD[:1], quiet)
            await over.wait()
            return captures[0]

    return asyncio.run(run())


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def test_chunk_borders_are_kept() -> None:
    capture = against(HEAD + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert [block for _, block in capture.blocks] == [b"abc", b"de"]
    assert capture.ended == "complete"
    assert capture.header("Content-Type".lower()) == "text/event-stream"


def test_a_missing_last_chunk_is_a_cut() -> None:
    assert against(HEAD + b"3\r\nabc\r\n").ended == "cut"
    assert against(HEAD + b"5\r\nab").ended == "cut"


def test_silence_is_a_timeout() -> None:
    capture = against(HEAD + b"3\r\nabc\r\n", close=False)
    assert capture.ended == "timeout"
    assert capture.blocks[0][1] == b"abc"


def test_the_key_is_sent_and_not_kept() -> None:
    heads: list[bytes] = []
    capture = against(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", key="sk-secret", heads=heads)
    assert b"authorization: bearer sk-secret\r\n" in heads[0].lower()
    assert "sk-secret" not in repr(capture)
    assert json.loads(capture.request or b"")["model"] == "m"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "ftp://host/v1", "localhost:8000"])
def test_an_unreachable_endpoint_is_one_clear_line(url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        asyncio.run(examine(Endpoint(url=url, model="m")))
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_refused_key_or_model_stops_at_once() -> None:
    async def run() -> list[Finding]:
        async with scripted.endpoint() as url:
            return (await examine(Endpoint(url=url, model="another")))[1]

    with pytest.raises(Unreachable, match=r"404.*--model.*model_not_found"):
        asyncio.run(run())


def test_a_key_that_is_echoed_is_not_shown() -> None:
    told = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 18\r\n\r\nbad key sk-secret!"
    with pytest.raises(Unreachable) as caught:
        against(told, key="sk-secret")
    assert "bad key ***!" in str(caught.value)


def test_only_what_the_rules_need_is_sent() -> None:
    assert [one.name for one in wanted([BY_ID["T2"]])] == ["text", "tools", "parallel-tools", "forced-tool"]
    assert [one.name for one in wanted([BY_ID["B9"]])] == ["text", "unknown-model"]
    assert [one.name for one in wanted([BY_ID["C4"]])] == ["text", "reuse"]
    assert len(wanted(RULES)) == len(EXCHANGES)
