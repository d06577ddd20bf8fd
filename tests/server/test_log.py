"""One line per request says how it went, and how it came to an answer that was there."""

import asyncio
import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TextIO

import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, steps, text
from riverrun.config import LogConfig
from riverrun.failures import Cause, Failure
from riverrun.server.log import Line, Straight, straight, to_stderr, write
from riverrun.stream.deltas import Finish, Text
from tests import virtual
from tests.runs.scenes import Scene
from tests.server.calls import ask, get
from tests.server.test_app import application

HI = Say((Text(0, b'"Hi"'),))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "riverrun.access"]


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        (text("one"), "finished"),
        (text("one", reason="length"), "length"),
        (steps(HI, Say((Finish(0, "content_filter"),)), End()), "finished"),
        (steps(HI, Say((Finish(0, "length"),)), End()), "length"),
        (steps(HI, Fail(Failure(Cause.UPSTREAM_ERROR, "no"))), "upstream_error"),
    ],
)
def test_how_it_ended(caplog: pytest.LogCaptureFixture, script: Script, ending: str) -> None:
    async def main() -> None:
        await ask(application(Scene(script)), {"stream": True}).done()

    with caplog.at_level(logging.INFO, "riverrun.access"):
        virtual.run(main())
    assert [line.split()[-1] for line in lines(caplog)] == [ending]


def test_how_it_came_to_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        app = application(Scene(text("one two three", pace=3.0)))
        key = {"idempotency_key": "k"}
        first = ask(app, {"stream": True}, **key)
        await first.until(lambda call: len(call.numbers) > 1)
        joined = ask(app, {"stream": True}, **key)
        await asyncio.gather(first.done(), joined.done())
        await ask(app, **key).done()
        await ask(app, {"stream": True}, last_event_id="2", **key).done()
        await get(app, first.headers["location"] + "?stream=true&starting_after=2").done()
        await get(app, first.headers["location"] + "?stream=true").done()
        await get(app, first.headers["location"]).done()

    with caplog.at_level(logging.INFO, "riverrun.access"):
        virtual.run(main())
    ways = ("joined", "replayed", "resumed")
    said = [next((way for way in ways if way in line.split()), "") for line in lines(caplog)]
    assert sorted(said[:2]) == ["", "joined"]
    assert said[2:] == ["replayed", "resumed", "resumed", "replayed", ""]


def test_as_json(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "riverrun.access"):
        write(Line("c1", 200, "GET /x", way="resumed"), "json")
    assert json.loads(lines(caplog)[0]) == {"id": "c1", "status": 200, "what": "GET /x", "way": "resumed"}


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[TextIO, LogConfig], None]]:
    """The log of a server of our own, on a stream; as it was, afterwards."""
    root = logging.getLogger("riverrun")
    before = (list(root.handlers), root.propagate, root.level)
    engine = logging.getLogger("riverrun.engine").level

    def to(stream: TextIO, settings: LogConfig) -> None:
        monkeypatch.setattr(sys, "stderr", stream)
        to_stderr(settings)

    yield to
    straight.stream = None
    root.handlers[:], root.propagate, level = before
    root.setLevel(level)
    logging.getLogger("riverrun.engine").setLevel(engine)


WHOLE = Line("c1", 200, "whole", None, "mine", "up/m", 0.1234, 7, 2.0, "finished")
BARE = Line("r1", 404, "GET /x", ending="unknown_url")


def test_a_server_of_our_own_writes_them_between_the_others(ours: Callable[[TextIO, LogConfig], None]) -> None:
    out = io.StringIO()
    ours(out, LogConfig())
    write(WHOLE, "text")
    logging.getLogger("riverrun.server").warning("few files")
    write(BARE, "text")
    clock = r"\d\d:\d\d:\d\d"
    for line, words in zip(
        out.getvalue().splitlines(),
        (
            r"200 whole c1 \(mine\) up/m first 0\.123 s 7 tokens 2\.000 s finished",
            "few files",
            "404 GET /x r1 unknown_url",
        ),
        strict=True,
    ):
        assert re.fullmatch(f"{clock} {words}", line)


def test_and_as_json_everything_is(ours: Callable[[TextIO, LogConfig], None]) -> None:
    out = io.StringIO()
    ours(out, LogConfig(format="json"))
    write(WHOLE, "json")
    logging.getLogger("riverrun.server").warning("few files")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["id"], first["client_request_id"], first["first"]) == ("c1", "mine", 0.1234)
    assert second == {"level": "warning", "message": "few files"}


def test_the_clock_is_that_of_the_second() -> None:
    now = [1_800_000_000.9]
    lines = Straight(lambda: now[-1])
    lines.stream = out = io.StringIO()
    for more in (0.0, 0.05, 0.2):
        now.append(now[0] + more)
        lines.write("x", timed=True)
    clocks = [line.split()[0] for line in out.getvalue().splitlines()]
    assert clocks == [time.strftime("%X", time.localtime(1_800_000_000 + late)) for late in (0, 0, 1)]


def test_a_log_that_cannot_be_written_hurts_nobody(ours: Callable[[TextIO, LogConfig], None]) -> None:
    closed = io.StringIO()
    closed.close()
    ours(closed, LogConfig())
    write(WHOLE, "text")
    with open("/dev/full", "w", buffering=1) as full:
        ours(full, LogConfig())
        for _ in range(1000):
            write(WHOLE, "text")
        with suppress(OSError):
            full.close()
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(BrokenPipeError), open(writer, "w", buffering=1) as broken:
        ours(broken, LogConfig())
        write(WHOLE, "text")
