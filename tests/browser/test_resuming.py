"""A browser reads a stream while its network breaks: every word comes, once. (The cuts are of the site's own relay.)"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import cast

import pytest

from tests import upstreams
from tests.browser.site import CHROMIUM, Site, site, visiting
from tests.client.network import Background, Cut, background
from tests.client.real import Speaker, riverrun_before
from tests.client.stand_in import StandIn, payloads
from tests.servers import Served

WORDS = [f"Wort {number} 🌊 " for number in range(40)]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH (on Debian: apt-get install chromium)"),
]


@pytest.fixture
def loop_thread() -> Iterator[Background]:
    with background() as thread:
        yield thread


def stand_in(loop_thread: Background, folder: Path) -> AbstractContextManager[upstreams.Upstream]:
    server = StandIn()
    server.told = payloads(WORDS)
    server.retry = 20
    return loop_thread.entered(upstreams.serve(upstream=server))


def riverrun(loop_thread: Background, folder: Path) -> AbstractContextManager[Served]:
    return riverrun_before(Speaker(WORDS), loop_thread, folder)


@pytest.fixture(params=[stand_in, riverrun], ids=["stand-in", "riverrun"])
def place(request: pytest.FixtureRequest, loop_thread: Background, tmp_path: Path) -> Iterator[Site]:
    with request.param(loop_thread, tmp_path) as server, loop_thread.entered(site(server.port)) as place:
        yield place


def visit(place: Site, page: str, loop_thread: Background, profile: Path) -> dict[str, object]:
    with visiting(f"http://127.0.0.1:{place.port}/{page}", profile):
        return loop_thread.run(place.report())


def test_event_source(place: Site, loop_thread: Background, tmp_path: Path) -> None:
    """The first request is the POST, which the page leaves. 204 after the end is what stops an EventSource."""
    place.cuts += [Cut(1 << 40), Cut(700, "reset"), Cut(0, "reset"), Cut(900), Cut(1300, "reset")]
    result = visit(place, "event_source.html", loop_thread, tmp_path / "profile")
    assert not place.cuts
    assert result["text"] == "".join(WORDS)
    assert result["ids"] == list(range(1, len(WORDS) + 4))
    assert result["done"] == 1
    assert cast(int, result["breaks"]) >= 4  # the cuts (one before the head may be hidden), and the end


def test_fetch(place: Site, loop_thread: Background, tmp_path: Path) -> None:
    place.cuts += [Cut(0, "reset"), Cut(700, "reset"), Cut(0, "reset"), Cut(900), Cut(1300, "reset")]
    result = visit(place, "fetch.html", loop_thread, tmp_path / "profile")
    assert not place.cuts
    assert result["error"] == ""
    assert result["text"] == "".join(WORDS)
    assert result["ids"] == list(range(1, len(WORDS) + 4))
    assert result["done"] == 1
