"""One line per request says how it went, and how it came to an answer that was there."""

import asyncio
import json
import logging

import pytest

from riverrun.backends.scripted import End, Fail, Say, Script, steps, text
from riverrun.failures import Cause, Failure
from riverrun.server.log import Line, write
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
