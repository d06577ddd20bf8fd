"""The fixture that others use, in a test run of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points

import pytest

from tests.conformance import scripted

pytest_plugins = ["pytester"]

MODULE = "riverrun.conformance.pytest_plugin"
INSTALLED = any(point.value == MODULE for point in entry_points(group="pytest11"))
OPTIONS = ["-p", "no:cacheprovider", *([] if INSTALLED else ["-p", MODULE])]
SUITE = """
def test_it(conforms):
    findings = conforms({url!r}, model="scripted", only={only!r})
    assert {{one.rule.id for one in findings}} == set({only!r})
"""


@contextmanager
def running(defect: str = "") -> Iterator[str]:
    """A scripted endpoint in a thread of its own, because the inner test run has its own loop."""
    loop = asyncio.new_event_loop()
    up, down, url = threading.Event(), asyncio.Event(), ""

    async def serve() -> None:
        nonlocal url
        async with scripted.endpoint(defect) as url:
            up.set()
            await down.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert up.wait(10)
        yield url
    finally:
        loop.call_soon_threadsafe(down.set)
        thread.join(10)


def test_a_healthy_endpoint_passes(pytester: pytest.Pytester) -> None:
    with running() as url:
        pytester.makepyfile(SUITE.format(url=url, only=["F8", "B9"]))
        pytester.runpytest(*OPTIONS).assert_outcomes(passed=1)


def test_a_broken_one_fails_with_the_report(pytester: pytest.Pytester) -> None:
    with running("B9:0") as url:
        pytester.makepyfile(SUITE.format(url=url, only=["F8", "B9"]))
        result = pytester.runpytest(*OPTIONS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*B9 must An unknown model*", "*the status is 422, not 404*"])
